/** The thread of the simulated upstreams: starts them, tells their URLs, stops them. */
import { asMillraceError } from '../errors.ts';
import { parentChannel } from '../threads/port.ts';
import type { FromSimulate, SimulateStart, ToSimulate } from '../threads/spawn.ts';
import { type SimulatedServer, startSimulated } from './server.ts';

/** Nobody reads this thread's journals. */
const JOURNAL_ENTRIES_MAX = 0;

const { start, ...main } = parentChannel<SimulateStart, ToSimulate, FromSimulate>();
const running: SimulatedServer[] = [];

try {
  for (const one of start.servers)
    running.push(await startSimulated({ ...one, journalEntriesMax: JOURNAL_ENTRIES_MAX }));
  main.post({ type: 'ready', urls: running.map((server) => server.url) });
} catch (thrown) {
  main.post({ type: 'failed', error: asMillraceError(thrown).toWire() });
}

main.listen(() => void stop());

async function stop(): Promise<void> {
  await Promise.all(running.map((server) => server.close()));
  main.close();
}
