/**
 * Preloaded (`--import`) into an engine's process by engine-process.ts: lets a test do to a thread what nobody would do to it on
 * purpose. Nothing of it exists in the engine itself.
 */
import { BroadcastChannel, isMainThread, workerData } from 'node:worker_threads';

export type ThreadFault = 'exit' | 'throw' | 'reject' | 'hang' | 'memory';
export type Role = 'worker' | 'coordinator' | 'simulate';

/** One thread of the role takes it: the first that claims the word. */
export interface FaultOrder {
  readonly role: Role;
  readonly fault: ThreadFault;
  readonly claim: Int32Array;
}

export const FAULT_CHANNEL = 'millrace-test-faults';

function roleOfThisThread(): Role {
  const data = workerData as { servers?: unknown; shared?: unknown } | null;
  if (data?.servers) return 'simulate';
  return data?.shared ? 'coordinator' : 'worker';
}

/** A thread that serves has its heartbeat's timer; a spare one of the pool, warm but idle, has none. */
function serves(): boolean {
  return process.getActiveResourcesInfo().includes('Timeout');
}

function suffer(fault: ThreadFault): void {
  switch (fault) {
    case 'exit':
      return process.exit(3);
    case 'throw':
      setImmediate(() => {
        throw new Error('a fault the test ordered');
      });
      return;
    case 'reject':
      void Promise.reject(new Error('a fault the test ordered'));
      return;
    case 'hang':
      for (;;);
    case 'memory': {
      const held: unknown[] = [];
      for (;;) held.push(new Array(1 << 16).fill(held.length));
    }
  }
}

if (!isMainThread) {
  const role = roleOfThisThread();
  const channel = new BroadcastChannel(FAULT_CHANNEL);
  channel.unref();
  channel.onmessage = (event: unknown) => {
    const order = (event as { data: FaultOrder }).data;
    if (order.role !== role || !serves()) return;
    if (Atomics.compareExchange(order.claim, 0, 0, 1) === 0) suffer(order.fault);
  };
}
