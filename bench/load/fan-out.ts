/**
 * Fan-out: 1,000 streams of 50 tokens per second, one frame per token. What main pays to bring a token from a worker's ring to
 * its socket, against a bare uWebSockets.js sender and against `ws`, both without any ring.
 */
import type { Bench, Outcome, Settings } from '../support/bench.ts';
import type { Load } from '../support/children.ts';
import { ratios } from '../support/statistics.ts';
import {
  clientDoubts,
  measureAll,
  perUnitMain,
  startAll,
  type Variant,
} from '../support/variant.ts';
import type { Goal } from '../support/verdict.ts';

const STREAMS = 1000;
const OFFERED = STREAMS * 50;
const RAW = 'bare uWebSockets.js wheel';
const WS = 'ws wheel';

function describe(load: Load): string {
  const main = (load.mainNs / 1000 / load.tokens).toFixed(2);
  const rate = Math.round(load.tokens / load.seconds);
  return `${main} µs main CPU/token, ${rate} tokens/s, p50 ${load.p50Us} µs, p99 ${load.p99Us} µs`;
}

function doubtOf(...sides: (readonly Load[] | undefined)[]): string | undefined {
  const late = sides
    .flatMap((side) => side ?? [])
    .filter((load) => Math.abs(load.tokens / load.seconds / OFFERED - 1) > 0.03);
  return late.length > 0 ? `${late.length} rounds did not carry the offered load` : undefined;
}

async function run(settings: Settings): Promise<Outcome> {
  const ours = settings.backends.map((backend) => ({
    name: `millrace main (${backend})`,
    peer: 'fan-millrace',
    settings: { backend },
  }));
  const variants: Variant[] = [
    ...ours,
    { name: RAW, peer: 'fan-uws', settings: {} },
    { name: WS, peer: 'fan-ws', settings: {} },
  ];
  const servers = await startAll(variants, settings.pin);
  const series = {
    mode: 'sink',
    options: { conns: STREAMS, warm: 0.5, seconds: settings.quick ? 0.5 : 1.5 },
    rounds: settings.rounds,
    pin: settings.pin,
    progress: (text: string) => settings.progress(text),
    describe,
  };
  try {
    const progress = (text: string) => settings.progress(`warm-up, ${text}`);
    await measureAll(servers, variants, { ...series, rounds: 1, progress });
    const loads = await measureAll(servers, variants, series);
    const against = (own: string, peer: string, limit: number): Goal => {
      const doubt = doubtOf(loads.get(own), loads.get(peer));
      return {
        what: `fan-out: main CPU per token, ${own} / ${peer}`,
        sense: 'at most',
        limit,
        unit: 'x',
        values: ratios(
          perUnitMain(loads.get(own), 'tokens'),
          perUnitMain(loads.get(peer), 'tokens'),
        ),
        ...(doubt === undefined ? {} : { doubt }),
      };
    };
    return {
      readings: [...loads].map(([name, all]) => ({
        what: `${name}: main CPU per token`,
        unit: 'µs',
        values: perUnitMain(all, 'tokens'),
      })),
      goals: ours
        .filter(({ name }) => name.includes('uws'))
        .flatMap(({ name }) => [against(name, RAW, 1.1), against(name, WS, 0.72)]),
      notes: clientDoubts(loads),
    };
  } finally {
    await Promise.all(servers.map((server) => server.child.end()));
  }
}

export const fanOut: Bench = { name: 'fan-out', title: 'Fan-out on the main thread', run };
