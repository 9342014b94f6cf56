/** Goal: as many workers as the CPUs that are really ours leave. Method: machines of text files. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Machine, workerCount } from '../../../src/threads/worker-count.ts';

const machine = (cores: number, files: Record<string, string> = {}): Machine => ({
  cores,
  read: (file) => files[file],
});

/** Workers and CPUs, then the reason. */
function count(cores: number, files: Record<string, string> = {}, asked?: number) {
  const { workers, cpus, why } = workerCount(asked, machine(cores, files));
  return [workers, cpus, why];
}

test('without a quota: one less than cores, from 1 to 8', () => {
  assert.deepEqual(count(1), [1, 1, '1 cores, one kept for the main thread']);
  assert.deepEqual(count(2), [1, 2, '2 cores, one kept for the main thread']);
  assert.deepEqual(count(9), [8, 9, '9 cores, one kept for the main thread']);
  assert.deepEqual(count(64)[0], 8);
});

test('what was asked for is taken as it is', () => {
  assert.deepEqual(count(2, {}, 5), [5, 2, 'threads.workers']);
});

test('a quota of version 2 counts, of our own group and of every group above it', () => {
  const own = '/sys/fs/cgroup/a.slice/b.service/cpu.max';
  const above = '/sys/fs/cgroup/a.slice/cpu.max';
  const self = { '/proc/self/cgroup': '0::/a.slice/b.service\n' };
  const why = (quota: number) =>
    `a CPU quota of ${quota} of 16 cores, one kept for the main thread`;
  assert.deepEqual(count(16, { ...self, [own]: '250000 100000\n' }), [2, 3, why(2.5)]);
  assert.deepEqual(count(16, { ...self, [above]: '400000 100000\n' }), [3, 4, why(4)]);
  assert.deepEqual(count(16, { ...self, [own]: '800000 100000', [above]: '200000 100000' }), [
    1,
    2,
    why(2),
  ]);
  const tighter = { ...self, [own]: '200000 100000', [above]: '800000 100000' };
  assert.deepEqual(count(16, tighter), [1, 2, why(2)]);
  assert.deepEqual(count(4, { ...self, [own]: 'max 100000\n' })[1], 4);
  assert.deepEqual(count(4, { ...self, [own]: '800000 100000\n' })[1], 4, 'more than there is');
});

test('in a container, which sees its group as the root, the root counts', () => {
  const files = { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '50000 100000' };
  assert.deepEqual(count(8, files).slice(0, 2), [1, 1]);
  const hidden = { ...files, '/proc/self/cgroup': '0::/docker/abc\n' };
  assert.deepEqual(count(8, hidden).slice(0, 2), [1, 1]);
});

test('a quota of version 1 counts, and no other controller', () => {
  const files = {
    '/proc/self/cgroup': '5:memory:/x\n4:cpu,cpuacct:/docker/y\n3:cpuset:/z\n',
    '/sys/fs/cgroup/cpu/docker/y/cpu.cfs_quota_us': '300000\n',
    '/sys/fs/cgroup/cpu/docker/y/cpu.cfs_period_us': '100000\n',
  };
  assert.deepEqual(count(8, files).slice(0, 2), [2, 3]);
  const none = { ...files, '/sys/fs/cgroup/cpu/docker/y/cpu.cfs_quota_us': '-1\n' };
  assert.deepEqual(count(8, none).slice(0, 2), [7, 8]);
});

test('files that say nonsense are no quota', () => {
  for (const text of ['', 'max', '0 100000', '100000 0', 'x y', '-1 100000']) {
    const files = { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': text };
    assert.equal(count(4, files)[1], 4, text);
  }
});
