/** A simulated upstream in a process of its own, to be stopped, continued and killed: `startUpstreamProcess` is the test's side; run as a program, this file is the other. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { startSimulated } from '../../src/simulate/server.ts';

export interface UpstreamProcess {
  readonly port: number;
  signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void;
  /** Gone, whatever state it is in. */
  end(): Promise<void>;
}

export async function startUpstreamProcess(): Promise<UpstreamProcess> {
  const child: ChildProcess = fork(fileURLToPath(import.meta.url), [], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const [port] = (await once(child, 'message')) as [number];
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    port,
    signal: (name) => void child.kill(name),
    end: () => {
      child.kill('SIGKILL');
      return exited;
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = await startSimulated({ firstTokenMs: 5, tokensPerSecond: 400, jitter: 0 });
  process.send?.(Number(new URL(server.origin).port));
  // It goes with its parent.
  process.once('disconnect', () => process.exit(0));
}
