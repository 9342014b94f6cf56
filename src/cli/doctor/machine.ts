/** Facts about the process and the machine under it, as they are. */
import { readFileSync, statSync } from 'node:fs';
import { totalmem } from 'node:os';

export interface MachineFacts {
  readonly node: string;
  /** Version of Node's binary interface, which native modules are built for. */
  readonly abi: string;
  readonly platform: string;
  /** Undefined with another C library (musl) or system. */
  readonly glibc: string | undefined;
  readonly memory: {
    readonly totalBytes: number;
    /** Of the cgroup; undefined without. */
    readonly limitBytes: number | undefined;
  };
  /** Open files; undefined where the system does not say. */
  readonly files: { readonly soft: number; readonly hard: number } | undefined;
  readonly clock: {
    readonly nowMs: number;
    /** When this program was installed: no right clock is earlier. */
    readonly installedMs: number;
    /** How Linux reads the time. */
    readonly source: string | undefined;
  };
}

export function machineFacts(): MachineFacts {
  return {
    node: process.versions.node,
    abi: process.versions.modules,
    platform: `${process.platform} ${process.arch}`,
    glibc: glibc(),
    memory: { totalBytes: totalmem(), limitBytes: memoryLimit() },
    files: openFiles(read('/proc/self/limits')),
    clock: {
      nowMs: Date.now(),
      installedMs: statSync(new URL(import.meta.url)).mtimeMs,
      source: read('/sys/devices/system/clocksource/clocksource0/current_clocksource')?.trim(),
    },
  };
}

function glibc(): string | undefined {
  const report = process.report as typeof process.report & { excludeNetwork?: boolean };
  // Otherwise it may ask name servers about our own sockets.
  report.excludeNetwork = true;
  const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return header?.glibcVersionRuntime;
}

/** Without a limit Node answers 0 or a number beyond any machine. */
function memoryLimit(): number | undefined {
  const limit = process.constrainedMemory();
  return limit > 0 && limit < 2 ** 50 ? limit : undefined;
}

/** From the text of /proc/self/limits. */
export function openFiles(limits: string | undefined): MachineFacts['files'] {
  const [, soft, hard] = /^Max open files\s+(\w+)\s+(\w+)/m.exec(limits ?? '') ?? [];
  if (soft === undefined || hard === undefined) return undefined;
  const number = (word: string) => (word === 'unlimited' ? Infinity : Number(word));
  return { soft: number(soft), hard: number(hard) };
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
