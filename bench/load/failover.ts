/**
 * What a broken upstream costs a client, and what a client that leaves costs an upstream: first token after a failover above the other upstream's own time to
 * first token; from a cancel to the upstream's closed socket, in every phase; added latency at light load, beside a plain Node relay. Upstream and client are
 * this process: both ends are read on one clock.
 */
import type { Bench, Outcome, Reading, Settings } from '../support/bench.ts';
import { BenchClient } from '../support/bench-client.ts';
import { type Server, stolenShare } from '../support/children.ts';
import { millraceVariants } from '../support/millrace.ts';
import { median, quantile } from '../support/statistics.ts';
import { TimedUpstream } from '../support/timed-upstream.ts';
import { startAll, type Variant } from '../support/variant.ts';
import type { Goal } from '../support/verdict.ts';

const PLAIN = 'plain (ws + fetch + eventsource-parser + JSON)';
/** Less time than this taken by others before and after: latencies may be believed. */
const QUIET_SHARE = 0.02;
/** No probe and no circuit takes the broken upstream out: streams begin there again and again. */
const always = {
  enableCircuitBreaker: false,
  healthCheckIntervalMs: 3_600_000,
  healthCheckFastMs: 3_600_000,
};
const faults = ['refuse', 'reset'] as const;
const phases = ['before the head', 'before the first token', 'streaming'] as const;

type Values = Map<string, number[]>;

/** One value more for each quantile of a round's samples. */
function note(values: Values, what: string, samples: readonly number[]): void {
  for (const [name, share] of [
    ['p50', 0.5],
    ['p99', 0.99],
  ] as const) {
    const key = `${what}, ${name}`;
    values.set(key, [...(values.get(key) ?? []), quantile(samples, share)]);
  }
}

/** The turns that went wrong first, above what the good upstream takes alone. */
async function measureFailover(
  alone: Server,
  server: Server,
  turns: number,
  values: Values,
): Promise<void> {
  const clients = [await BenchClient.open(alone.port), await BenchClient.open(server.port)];
  const own: number[] = [];
  const moved: number[] = [];
  for (let turn = 0; turn < turns; turn += 1) {
    own.push((await clients[0].turn('quick')).firstMs);
    const { firstMs, attempts } = await clients[1].turn('quick');
    if (attempts > 1) moved.push(firstMs);
  }
  for (const client of clients) client.close();
  if (moved.length === 0) throw new Error(`${server.name}: no turn met the broken upstream`);
  const base = median(own);
  note(
    values,
    server.name,
    moved.map((ms) => ms - base),
  );
}

async function measureCancel(
  server: Server,
  upstream: TimedUpstream,
  turns: number,
  values: Values,
): Promise<void> {
  const client = await BenchClient.open(server.port);
  for (const [at, phase] of phases.entries()) {
    const samples: number[] = [];
    for (let turn = 0; turn < turns; turn += 1) {
      const closed = upstream.nextClosed();
      await client.cancelWhen(['stall-head', 'stall-first', 'slow'][at], upstream, phase);
      samples.push((await closed) - client.cancelledMs);
      await client.ended();
    }
    note(values, `cancel → upstream socket closed, ${phase}`, samples);
  }
  client.close();
}

/** First token and further ones of one stream at a time, from the upstream's write to the client's event. */
async function measureLight(server: Server, turns: number, values: Values): Promise<void> {
  const client = await BenchClient.open(server.port);
  const first: number[] = [];
  const later: number[] = [];
  for (let turn = 0; turn < turns; turn += 1) {
    const { latencies, firstMs } = await client.turn('paced');
    first.push(firstMs);
    later.push(...latencies.slice(1));
  }
  client.close();
  note(values, `${server.name}: to the first token`, first);
  note(values, `${server.name}: per token`, later);
}

async function run(settings: Settings): Promise<Outcome> {
  const upstream = await TimedUpstream.start();
  const broken = await TimedUpstream.start(true);
  const refused = await TimedUpstream.start();
  await refused.close();
  const good = { name: 'good', url: upstream.url, maxConnections: 4096 };
  const plain: Variant = { name: PLAIN, peer: 'relay-plain', settings: { upstream: upstream.url } };
  const one = millraceVariants(settings, '/v1/responses', { upstreams: [good] }).slice(0, 1);
  const two = faults.map((fault) => ({
    ...millraceVariants(settings, '/v1/responses', {
      upstreams: [{ name: 'bad', url: (fault === 'reset' ? broken : refused).url }, good],
      balance: always,
      // Every turn is a retry, one after the other: more of them than any load may have.
      stream: { retriesRunningMax: 10_000 },
      // Each failed attempt would be a line.
      log: { level: 'error' },
    })[0],
    name: fault,
  }));
  const servers = await startAll([...one, plain, ...two], settings.pin);
  const values: Values = new Map();
  let isQuiet = true;
  const turns = settings.quick ? 20 : 200;
  try {
    for (let round = 0; round < settings.rounds; round += 1) {
      isQuiet &&= (await stolenShare()) < QUIET_SHARE;
      for (const server of servers.slice(2))
        await measureFailover(servers[0], server, turns, values);
      await measureCancel(servers[0], upstream, turns / 4, values);
      for (const server of servers.slice(0, 2)) await measureLight(server, turns / 10, values);
      await measureDirect(upstream, turns / 10, values);
      isQuiet &&= (await stolenShare()) < QUIET_SHARE;
      settings.progress(`round ${round + 1} of ${settings.rounds}`);
    }
  } finally {
    await Promise.all(servers.map(({ child }) => child.end()));
    await Promise.all([upstream.close(), broken.close()]);
  }
  return outcome(values, servers[0].name, isQuiet);
}

/** What the upstream and this process take alone: everything above it was added. */
async function measureDirect(
  upstream: TimedUpstream,
  turns: number,
  values: Values,
): Promise<void> {
  const first: number[] = [];
  const later: number[] = [];
  for (let turn = 0; turn < turns; turn += 1) {
    const { latencies, firstMs } = await BenchClient.direct(upstream.url);
    first.push(firstMs);
    later.push(...latencies.slice(1));
  }
  note(values, 'direct: to the first token', first);
  note(values, 'direct: per token', later);
}

function outcome(values: Values, ours: string, isQuiet: boolean): Outcome {
  const of = (what: string) => values.get(what) ?? [];
  const above = (what: string) => {
    const direct = of(`direct: ${what}`);
    return of(`${ours}: ${what}`).map((ms, at) => ms - direct[at]);
  };
  const doubt = isQuiet ? {} : { doubt: 'others used the machine meanwhile' };
  const goal = (what: string, limit: number, all: readonly number[]): Goal => ({
    what,
    sense: 'at most',
    limit,
    unit: 'ms',
    values: all,
    ...doubt,
  });
  const goals = [
    ...faults.flatMap((fault) => [
      goal(
        `failover, upstreams that ${fault}: above the other's own first token, p50`,
        3,
        of(`${fault}, p50`),
      ),
      goal(
        `failover, upstreams that ${fault}: above the other's own first token, p99`,
        10,
        of(`${fault}, p99`),
      ),
    ]),
    ...phases.map((phase) => {
      const what = `cancel → upstream socket closed, ${phase}, p99`;
      return goal(what, 3, of(what));
    }),
    goal('added per token at light load, p50', 0.12, above('per token, p50')),
    goal('added per token at light load, p99', 1, above('per token, p99')),
    goal('added to the first token at light load, p50', 0.3, above('to the first token, p50')),
  ];
  const readings: Reading[] = [...values].map(([what, all]) => ({ what, unit: 'ms', values: all }));
  const notes = isQuiet ? [] : ['Not a quiet window: latencies are those of a loaded machine.'];
  return { readings, goals, notes };
}

export const failover: Bench = {
  name: 'failover',
  title: 'Failover, cancel and added latency',
  run,
};
