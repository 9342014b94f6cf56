/** What the facts mean for these options: pure, so that a test can be any machine. */
import type { EngineProbe } from '../../engine/probe.ts';
import type { Options } from '../../options/schema.ts';
import type { Check } from './check.ts';
import type { MachineFacts } from './machine.ts';

const MiB = 1024 * 1024;
const GiB = 1024 * MiB;
/** What a thread takes besides what the options bound: its heap and Node's own memory, rounded up from what an idle gateway has. */
const THREAD_BYTES = 48 * MiB;
/** Descriptors besides sessions and streams: libraries, logs, admin connections, wake-ups of threads. */
const SPARE_FILES = 256;

export interface Finding {
  readonly options: Options;
  readonly machine: MachineFacts;
  readonly engine: EngineProbe;
}

/** Every check but that of the configuration, in the order in which they are told. */
export function judge(finding: Finding): Check[] {
  return [
    node(finding),
    cLibrary(finding),
    backend(finding),
    workers(finding),
    sharedMemory(finding),
    webAssembly(finding),
    codecs(finding),
    nativeAddon(finding),
    memory(finding),
    files(finding),
    ...ports(finding),
    clock(finding),
  ];
}

function node({ machine: { node: version, abi, platform } }: Finding): Check {
  const [major, minor] = version.split('.').map(Number);
  const text = `${version} (ABI ${abi}) on ${platform}`;
  if (major > 20 || (major === 20 && minor >= 19)) return { name: 'node', status: 'ok', text };
  return { name: 'node', status: 'fail', text, remedy: 'install Node 20.19 or newer' };
}

function cLibrary({ machine: { glibc, platform } }: Finding): Check {
  const linux = platform.startsWith('linux');
  const other = linux ? 'not glibc (musl?)' : 'not asked for on this system';
  return { name: 'C library', status: 'ok', text: glibc === undefined ? other : `glibc ${glibc}` };
}

function backend({ engine: { backend: chosen }, options }: Finding): Check {
  const name = 'backend';
  if ('failed' in chosen) {
    const remedy = 'let server.backend be auto, or install a uWebSockets.js that loads here';
    return { name, status: 'fail', text: chosen.failed, remedy };
  }
  if (chosen.name !== 'ws' || options.server.backend === 'ws') {
    return { name, status: 'ok', text: chosen.why };
  }
  const remedy =
    'it runs well so; for less CPU per message install uWebSockets.js beside your application (docs/OPERATIONS.md)';
  return { name, status: 'warn', text: chosen.why, remedy };
}

function workers({ engine, options }: Finding): Check {
  const { workers: count, cpus, why } = engine.workers;
  const name = 'workers';
  if (options.threads.workers === undefined || count < Math.max(2, cpus)) {
    return { name, status: 'ok', text: `${count} (${why})` };
  }
  const text = `${count} (${why}) for ${cpus} CPUs, of which the main thread needs one`;
  const remedy = `set threads.workers to ${Math.max(1, cpus - 1)}, or leave it out`;
  return { name, status: 'warn', text, remedy };
}

function sharedMemory({ engine: { memory: found } }: Finding): Check {
  const name = 'shared memory';
  if (found.sharedArrayBuffer && found.atomics) return { name, status: 'ok', text: 'works' };
  const remedy = 'start Node without flags that take SharedArrayBuffer or Atomics away';
  return { name, status: 'fail', text: 'SharedArrayBuffer or Atomics do not work', remedy };
}

function webAssembly({ engine: { memory: found } }: Finding): Check {
  const name = 'WebAssembly';
  if (found.webAssembly && found.simd)
    return { name, status: 'ok', text: 'with SIMD: upstreams are scanned by it' };
  const text = found.webAssembly ? 'without SIMD' : 'not there';
  const remedy =
    'upstreams are scanned in JavaScript, at about twice the cost; a Node without --jitless has it';
  return { name, status: 'warn', text, remedy };
}

/** Which source serves which codec: the fastest by measurement of those that load. */
function codecs({ engine: { codecs: found } }: Finding): Check {
  const name = 'codecs';
  const lines = found.served.map(({ codec, by }) => `${codec}: ${by ?? 'none'}`);
  const missing = found.served.filter(({ by }) => by === undefined).map(({ codec }) => codec);
  const absent = found.sources
    .filter(({ name: source, reason }) => reason !== undefined && source !== 'native')
    .map(({ name: source, reason }) => `not here: ${source} (${reason})`);
  const text = [...lines, ...absent].join('\n');
  if (missing.length === 0) return { name, status: 'ok', text };
  const remedy = `clients that ask for ${missing.join(', ')} get plain messages; install zstd-napi or @toondepauw/node-zstd, or use Node 22.15 or newer`;
  return { name, status: 'warn', text, remedy };
}

function nativeAddon({ engine: { codecs: found } }: Finding): Check {
  const native = found.sources.find(({ name }) => name === 'native');
  const text = native?.version ?? `none: ${native?.reason}; it is optional`;
  return { name: 'native addon', status: 'ok', text };
}

function memory({ machine, options, engine }: Finding): Check {
  const { totalBytes, limitBytes } = machine.memory;
  const there = Math.min(limitBytes ?? Infinity, totalBytes);
  const threads = engine.workers.workers + options.threads.jobThreadsMax + 2;
  const need = options.memory.memoryBytesMax + options.memory.slabBytes + threads * THREAD_BYTES;
  const whose =
    limitBytes !== undefined && limitBytes <= totalBytes ? 'limit of the cgroup' : 'of the machine';
  const text = `${inGiB(there)} (${whose}); at its bounds millrace may take ${inGiB(need)}`;
  if (need <= there) return { name: 'memory', status: 'ok', text };
  const room = Math.max(16 * MiB, there - (need - options.memory.memoryBytesMax));
  const remedy = `under full load the system would end it: set memory.memoryBytesMax to ${Math.floor(room / MiB) * MiB} or less, or give it more`;
  return { name: 'memory', status: 'warn', text, remedy };
}

const inGiB = (bytes: number) => `${(bytes / GiB).toFixed(1)} GiB`;

function files({ machine, options }: Finding): Check {
  const name = 'open files';
  if (machine.files === undefined) return { name, status: 'ok', text: 'the system does not say' };
  const { soft, hard } = machine.files;
  const streams = options.upstreams.reduce((sum, each) => sum + each.maxConnections, 0);
  const need = options.server.sessionsMax + streams + SPARE_FILES;
  const text = `${soft} (hard limit ${hard}); ${need} are needed for server.sessionsMax, upstream connections and ${SPARE_FILES} others`;
  if (soft >= need) return { name, status: 'ok', text };
  const remedy = `raise it to ${need} (ulimit -n, LimitNOFILE= of a systemd unit, --ulimit nofile= of a container), or lower server.sessionsMax`;
  return { name, status: 'warn', text, remedy };
}

const portErrors: Readonly<
  Record<string, (option: string) => readonly [text: string, remedy: string]>
> = {
  EADDRINUSE: (option) => [
    'taken by another process, perhaps a running millrace',
    `stop that one, or choose another ${option}`,
  ],
  EACCES: (option) => [
    'this user may not listen there',
    `choose a ${option} above 1023, or give the capability CAP_NET_BIND_SERVICE`,
  ],
  EADDRNOTAVAIL: (option) => [
    'this machine has no such address',
    `correct ${option.replace('port', 'host')}; 0.0.0.0 is every address`,
  ],
  ENOTFOUND: (option) => ['this host has no address', `correct ${option.replace('port', 'host')}`],
};

function ports({ engine }: Finding): Check[] {
  return engine.ports.map(({ option, host, port, error }): Check => {
    const where = `${host}:${port}`;
    if (error === undefined) return { name: option, status: 'ok', text: `${where} is free` };
    const known = portErrors[error]?.(option);
    const [why, remedy] = known ?? [error, `choose another ${option}`];
    return { name: option, status: 'fail', text: `${where}: ${why}`, remedy };
  });
}

const slowSources = new Set(['hpet', 'acpi_pm', 'jiffies', 'refined-jiffies', 'pit']);
const DAY_MS = 86_400_000;

function clock({ machine: { clock: found } }: Finding): Check {
  const { nowMs, installedMs, source } = found;
  const text = `${new Date(nowMs).toISOString()}${source === undefined ? '' : `, read by ${source}`}`;
  if (nowMs < installedMs - DAY_MS) {
    const remedy = 'set it (NTP): certificates of upstreams are judged by it';
    return {
      name: 'clock',
      status: 'warn',
      text: `${text}, which is before millrace was installed`,
      remedy,
    };
  }
  if (source === undefined || !slowSources.has(source))
    return { name: 'clock', status: 'ok', text };
  const remedy = `each look at the clock is a slow system call with ${source}; use tsc or kvm-clock if the machine has it`;
  return { name: 'clock', status: 'warn', text, remedy };
}
