import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { onCpuNs, spent, threadTimes } from '../../../bench/support/schedstat.ts';

const linux = existsSync('/proc/self/task');

test('the first field is the time on the CPU', () => {
  assert.equal(onCpuNs('5123456789 42 17\n'), 5_123_456_789);
  assert.equal(onCpuNs('0 0 0'), 0);
});

test('a text that is no schedstat has no time', () => {
  for (const text of ['', 'x', '12', '12 13', '-1 2 3\n', '1 2 3 4\n']) {
    assert.ok(Number.isNaN(onCpuNs(text)), text);
  }
});

test('what was spent counts threads that came in between, and the main thread by its process id', () => {
  const before = new Map([
    [10, 1000],
    [11, 500],
  ]);
  const after = new Map([
    [10, 4000],
    [11, 700],
    [12, 50],
  ]);
  assert.deepEqual(spent(10, before, after), { all: 3250, main: 3000 });
});

test('work of this thread shows in its own time', { skip: !linux }, () => {
  const before = threadTimes('self');
  const until = performance.now() + 40;
  let spins = 0;
  // The kernel's own clock of this thread must move while it spins, however busy the machine is.
  while (performance.now() < until || spent(process.pid, before, threadTimes('self')).main < 2e6) {
    spins++;
    assert.ok(spins < 1e7, 'the thread never got any time');
  }
  const { all, main } = spent(process.pid, before, threadTimes('self'));
  assert.ok(main >= 2e6, `${main} ns`);
  assert.ok(all >= main);
});
