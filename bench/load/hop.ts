/** The hop from a worker to main: what main pays to take a 64-byte record out of the ring, and how many it can take. */
import type { Bench, Outcome, Settings } from '../support/bench.ts';
import { startServer } from '../support/children.ts';
import { interleave } from '../support/rounds.ts';

interface Window {
  readonly records: number;
  readonly seconds: number;
  readonly mainNs: number;
  readonly cpuNs: number;
}

const perRecord = (windows: readonly Window[] | undefined) =>
  (windows ?? []).map((window) => window.mainNs / 1000 / window.records);
const perSecond = (windows: readonly Window[] | undefined) =>
  (windows ?? []).map((window) => window.records / window.seconds);

async function run(settings: Settings): Promise<Outcome> {
  // Not pinned: the two threads are the two ends of what is measured.
  const ring = await startServer('ring', 'hop', { kind: 'ring' }, false);
  const messages = await startServer('postMessage', 'hop', { kind: 'messages' }, false);
  const servers = [ring, messages];
  try {
    const windows = await interleave(servers, settings.rounds, async ({ child, name }, round) => {
      const other = servers.find((server) => server.name !== name);
      other?.child.stop();
      child.resume();
      const window = await child.ask<Window>(settings.quick ? '0.3' : '1');
      const rate = (window.records / window.seconds / 1e6).toFixed(2);
      const cost = (window.mainNs / 1000 / window.records).toFixed(3);
      settings.progress(`round ${round + 1} ${name}: ${cost} µs main CPU/record, ${rate} M/s`);
      return window;
    });
    const [own, posted] = [windows.get('ring'), windows.get('postMessage')];
    return {
      readings: [
        { what: 'ring: main CPU per record of 64 B', unit: 'µs', values: perRecord(own) },
        { what: 'ring: records per second', unit: '1/s', values: perSecond(own) },
        {
          what: 'postMessage: main CPU per message of 64 B',
          unit: 'µs',
          values: perRecord(posted),
        },
        { what: 'postMessage: messages per second', unit: '1/s', values: perSecond(posted) },
      ],
      goals: [
        {
          what: 'hop: main CPU per 64 B record',
          sense: 'at most',
          limit: 0.3,
          unit: 'µs',
          values: perRecord(own),
        },
        {
          what: 'hop: records per second',
          sense: 'at least',
          limit: 2e6,
          unit: '1/s',
          values: perSecond(own),
        },
      ],
      notes: ['both ends run free, on any core: the rate needs two idle cores'],
    };
  } finally {
    for (const server of servers) server.child.resume();
    await Promise.all(servers.map((server) => server.child.end()));
  }
}

export const hop: Bench = { name: 'hop', title: 'Hop between threads', run };
