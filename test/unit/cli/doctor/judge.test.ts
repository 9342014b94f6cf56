/** Goal: each kind of machine gets its own word and remedy. Method: one good machine, and one thing wrong with it at a time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Check, listChecks, wantsColour } from '../../../../src/cli/doctor/check.ts';
import { type Finding, judge } from '../../../../src/cli/doctor/judge.ts';
import { type MachineFacts, openFiles } from '../../../../src/cli/doctor/machine.ts';
import type { EngineProbe } from '../../../../src/engine/probe.ts';
import { resolveOptions } from '../../../../src/options/resolve.ts';
import type { UserOptions } from '../../../../src/options/schema.ts';

const GiB = 2 ** 30;
const DAY_MS = 86_400_000;
const installedMs = Date.UTC(2026, 0, 2);
const machine: MachineFacts = {
  node: '22.15.0',
  abi: '127',
  platform: 'linux x64',
  glibc: '2.41',
  memory: { totalBytes: 8 * GiB, limitBytes: undefined },
  files: { soft: 65_536, hard: 65_536 },
  clock: { nowMs: installedMs, installedMs, source: 'tsc' },
};
const engine: EngineProbe = {
  backend: { name: 'uws', why: 'uWebSockets.js 1.2.3, installed by the application' },
  workers: { workers: 3, cpus: 4, why: '4 cores' },
  codecs: {
    served: [
      { codec: 'gzip', by: 'node-zlib' },
      { codec: 'zstd', by: 'zstd-napi (64 B, 1 KiB), node-zstd (100 KiB)' },
    ],
    sources: [
      { name: 'native', version: '0.1.0: zstd 1.5.7' },
      { name: 'zstd-napi', version: '1.5.7' },
    ],
  },
  memory: { sharedArrayBuffer: true, atomics: true, webAssembly: true, simd: true },
  ports: [{ option: 'server.port', host: '127.0.0.1', port: 8080 }],
};

interface Change {
  readonly machine?: Partial<MachineFacts>;
  readonly engine?: Partial<EngineProbe>;
  readonly code?: UserOptions;
}

function judged(change: Change = {}): Check[] {
  const finding: Finding = {
    options: resolveOptions({ code: change.code ?? {} }).options,
    machine: { ...machine, ...change.machine },
    engine: { ...engine, ...change.engine },
  };
  return judge(finding);
}

test('on a good machine everything is ok and nothing is to be done', () => {
  for (const { name, status, remedy } of judged()) {
    assert.deepEqual([status, remedy], ['ok', undefined], name);
  }
});

/** What is wrong, the one check that must see it, how, and a part of its remedy. */
const cases: readonly [what: string, Change, name: string, Check['status'], RegExp, RegExp][] = [
  ['an old Node', { machine: { node: '20.18.3' } }, 'node', 'fail', /20\.18\.3 \(ABI/, /20\.19/],
  [
    'a backend that cannot load',
    { engine: { backend: { failed: 'the server backend uws cannot be loaded' } } },
    'backend',
    'fail',
    /cannot be loaded/,
    /auto/,
  ],
  [
    'no uWebSockets.js',
    { engine: { backend: { name: 'ws', why: 'ws 8, because' } } },
    'backend',
    'warn',
    /ws 8, because/,
    /install uWebSockets\.js/,
  ],
  [
    'more workers than CPUs',
    { code: { threads: { workers: 4 } }, engine: { workers: { workers: 4, cpus: 4, why: 'x' } } },
    'workers',
    'warn',
    /4 \(x\) for 4 CPUs/,
    /threads\.workers to 3/,
  ],
  [
    'no shared memory',
    { engine: { memory: { ...engine.memory, atomics: false } } },
    'shared memory',
    'fail',
    /do not work/,
    /flags/,
  ],
  [
    'no SIMD',
    { engine: { memory: { ...engine.memory, simd: false } } },
    'WebAssembly',
    'warn',
    /without SIMD/,
    /scanned in JavaScript/,
  ],
  [
    'a tight cgroup',
    { machine: { memory: { totalBytes: 8 * GiB, limitBytes: GiB } } },
    'memory',
    'warn',
    /1\.0 GiB \(limit of the cgroup\); .* 1\.\d GiB/,
    /memory\.memoryBytesMax to \d+ or less/,
  ],
  [
    'few descriptors',
    { machine: { files: { soft: 10_255, hard: 10_255 } } },
    'open files',
    'warn',
    /10255 .*10256 are needed/,
    /LimitNOFILE=/,
  ],
  [
    'a port that is taken',
    { engine: { ports: [{ ...engine.ports[0], error: 'EADDRINUSE' }] } },
    'server.port',
    'fail',
    /127\.0\.0\.1:8080: taken/,
    /another server\.port/,
  ],
  [
    'a port for root only',
    { engine: { ports: [{ ...engine.ports[0], port: 80, error: 'EACCES' }] } },
    'server.port',
    'fail',
    /may not listen/,
    /CAP_NET_BIND_SERVICE/,
  ],
  [
    'an address of another machine',
    {
      engine: {
        ports: [{ option: 'admin.port', host: '10.0.0.9', port: 1, error: 'EADDRNOTAVAIL' }],
      },
    },
    'admin.port',
    'fail',
    /no such address/,
    /correct admin\.host/,
  ],
  [
    'an error that nobody foresaw',
    { engine: { ports: [{ ...engine.ports[0], error: 'EWHAT' }] } },
    'server.port',
    'fail',
    /EWHAT/,
    /another/,
  ],
  [
    'a clock before the installation',
    { machine: { clock: { ...machine.clock, nowMs: installedMs - DAY_MS - 1 } } },
    'clock',
    'warn',
    /2025-12-31T.* before millrace was installed/,
    /NTP/,
  ],
  [
    'a slow clock',
    { machine: { clock: { ...machine.clock, source: 'hpet' } } },
    'clock',
    'warn',
    /read by hpet/,
    /tsc/,
  ],
];

for (const [what, change, name, status, text, remedy] of cases) {
  test(`${what} is a ${status} of ${name} and of nothing else`, () => {
    const odd = judged(change).filter((each) => each.status !== 'ok');
    assert.deepEqual(
      odd.map((each) => [each.name, each.status]),
      [[name, status]],
    );
    assert.match(odd[0].text, text);
    assert.match(odd[0].remedy ?? '', remedy);
  });
}

test('what is enough exactly is enough', () => {
  const exact = judged({ machine: { files: { soft: 10_256, hard: 10_256 } } });
  assert.ok(exact.every(({ status }) => status === 'ok'));
  const upstreams = [{ name: 'a', url: 'http://a', maxConnections: 1 }];
  const more = judged({ machine: { files: { soft: 10_256, hard: 10_256 } }, code: { upstreams } });
  assert.equal(more.find(({ name }) => name === 'open files')?.status, 'warn');
  const onTime = { ...machine.clock, nowMs: installedMs - DAY_MS };
  assert.ok(judged({ machine: { clock: onTime } }).every(({ status }) => status === 'ok'));
});

test('the memory that the remedy names is enough', () => {
  const memory = { totalBytes: 8 * GiB, limitBytes: GiB };
  const { remedy = '' } =
    judged({ machine: { memory } }).find(({ name }) => name === 'memory') ?? {};
  const memoryBytesMax = Number(/memoryBytesMax to (\d+)/.exec(remedy)?.[1]);
  const again = judged({ machine: { memory }, code: { memory: { memoryBytesMax } } });
  assert.equal(again.find(({ name }) => name === 'memory')?.status, 'ok');
});

test('each codec names its source; one that has none says what helps, sources that are missing say why', () => {
  const found = {
    served: [
      { codec: 'gzip', by: 'node-zlib' },
      { codec: 'zstd', by: undefined },
    ],
    sources: [
      { name: 'native' as const, reason: 'it is not built' },
      { name: 'zstd-napi' as const, reason: 'no binary' },
    ],
  };
  const checks = judged({ engine: { codecs: found } });
  const of = (name: string) => checks.find((each) => each.name === name);
  assert.equal(of('codecs')?.status, 'warn');
  assert.match(of('codecs')?.text ?? '', /zstd: none\nnot here: zstd-napi \(no binary\)$/);
  assert.match(of('codecs')?.remedy ?? '', /ask for zstd get plain messages/);
  assert.equal(of('native addon')?.text, 'none: it is not built; it is optional');
  const whole = judged({}).find(({ name }) => name === 'codecs');
  assert.equal(whole?.status, 'ok');
  assert.match(whole?.text ?? '', /zstd: zstd-napi \(64 B, 1 KiB\), node-zstd \(100 KiB\)/);
});

test('ws on purpose, no glibc and no limits are ok', () => {
  const checks = judged({
    code: { server: { backend: 'ws' } },
    machine: { glibc: undefined, files: undefined, clock: { ...machine.clock, source: undefined } },
    engine: {
      backend: { name: 'ws', why: 'ws, as configured' },
    },
  });
  assert.ok(checks.every(({ status }) => status === 'ok'));
  const text = (name: string) => checks.find((each) => each.name === name)?.text;
  assert.equal(text('C library'), 'not glibc (musl?)');
});

test('the limit of open files is read from the text of the kernel', () => {
  const limits =
    'Limit  Soft  Hard  Units\nMax open files            1024                 unlimited            files\n';
  assert.deepEqual(openFiles(limits), { soft: 1024, hard: Infinity });
  assert.equal(openFiles(undefined), undefined);
  assert.equal(openFiles('Max processes 1 2\n'), undefined);
});

test('checks are listed in columns, remedies below, coloured only on request', () => {
  const checks: Check[] = [
    { name: 'a', status: 'ok', text: 'fine' },
    { name: 'longer', status: 'fail', text: 'one\ntwo', remedy: 'do this' },
  ];
  assert.equal(
    listChecks(checks, false),
    'ok   a       fine\nfail longer  one\n             two\n             → do this\n',
  );
  assert.ok(listChecks(checks, true).startsWith('\u001b[32mok  \u001b[0m a '));
  assert.equal(wantsColour(true, {}), true);
  assert.equal(wantsColour(false, {}), false);
  assert.equal(wantsColour(true, { NO_COLOR: '1' }), false);
  assert.equal(wantsColour(true, { NO_COLOR: '' }), true);
  assert.equal(wantsColour(true, { TERM: 'dumb' }), false);
});
