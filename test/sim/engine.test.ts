/**
 * The whole engine under random clients, upstreams, changes of the options and deaths of threads: every request ends exactly once, what a client saw is a prefix
 * of what one upstream said and the whole of it when the end says so, and in the end nothing is held by anyone.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UpstreamWord } from '../../src/memory/layout.ts';
import type { UserOptions } from '../../src/options/schema.ts';
import type { Seat } from '../../src/policy/upstream-roster.ts';
import { EngineSim } from '../support/engine-sim.ts';
import type { FakeConnection } from '../support/fake-connection.ts';
import type { FakeExchange } from '../support/fake-transport.ts';
import { below, type Chance, dice, PlayedUpstream, pick } from '../support/played-upstream.ts';
import { type Event, isTerminal, textOf } from '../support/responses.ts';
import { seeded } from '../support/seed.ts';

const RUNS = process.env.SLOW ? 3_000 : 20;
const STEPS = 500;
const SESSIONS_MAX = 6;

/** What the runs came across: a property that met nothing proves nothing. */
const seen = {
  lost: 0,
  rerun: 0,
  buried: 0,
  completed: 0,
  failed: 0,
  incomplete: 0,
  left: 0,
  held: 0,
  changed: 0,
  coordinatorLost: 0,
  /** Streams that ran at an upstream when it was removed. */
  outlived: 0,
};

interface Client {
  readonly connection: FakeConnection;
  asked: number;
  /** Each answers with an error event of its own when nothing runs; otherwise with nothing. */
  cancelled: number;
}

const options = {
  upstreams: ['one', 'two', 'three'].map((name) => ({ name, url: `http://${name}.test/v1` })),
  session: { creditBytes: 16 * 1024, runningRequestsMax: 3 },
  memory: { ringBytes: 64 * 1024, slabBytes: 8 * 1024 * 1024 },
  stream: {
    gapTimeoutMs: 1000,
    firstDeltaTimeoutMs: 1500,
    deadlineMs: 5000,
    headersTimeoutMs: 800,
    connectTimeoutMs: 400,
    finishGraceMs: 50,
  },
} as const;

const URLS = ['http://one.test/v1', 'http://elsewhere.test/v1'];

/** Other upstreams, weights and clocks; always at least one upstream, so that turns can end well. */
function otherOptions(chance: Chance): UserOptions {
  const names = ['one', 'two', 'three', 'four'].filter(() => chance.next() < 0.6);
  return {
    ...options,
    stream: { ...options.stream, gapTimeoutMs: 500 + below(chance, 1_000) },
    upstreams: [...names, 'last'].map((name) => ({
      name,
      url: pick(chance, URLS),
      weight: 1 + below(chance, 9),
    })),
  };
}

/** The turns of a session's default lane, in order: each ends with its one terminal event. */
function turnsOf({ connection }: Client): Event[][] {
  const turns: Event[][] = [[]];
  for (const { text } of connection.sent) {
    const event = JSON.parse(text) as Event;
    turns[turns.length - 1].push(event);
    if (isTerminal(event)) turns.push([]);
  }
  return turns;
}

function judge(client: Client, upstreams: readonly PlayedUpstream[]): void {
  const turns = turnsOf(client);
  const rest = turns.pop() ?? [];
  if (!client.connection.open) return;
  assert.deepEqual(rest, [], 'events after the last end');
  const codes = turns.map((events) => events[events.length - 1].error?.code);
  const count = (code: string) => codes.filter((each) => each === code).length;
  // A cancel that finds nothing is answered with an error of its own; a cancel that died with its worker is complained of.
  const unmatched = count('response_not_found');
  assert.ok(unmatched <= client.cancelled, codes.join());
  const extra = turns.length - unmatched - client.asked;
  assert.ok(extra >= 0 && extra <= count('worker_lost'), 'every request has exactly one end');
  for (const events of turns) {
    const end = events[events.length - 1];
    const numbers = events.map((event) => event.sequence_number);
    if (end.type === 'error') {
      assert.equal(
        events.length,
        1,
        `a complaint stands alone: ${events.map((each) => `${each.type} ${each.error?.code ?? ''}`).join()}`,
      );
      continue;
    }
    assert.deepEqual(numbers, [...numbers.keys()], 'sequence numbers without gap or double');
    const text = textOf(events);
    const status = end.response?.status;
    if (status === 'completed') seen.completed++;
    else if (status === 'failed') seen.failed++;
    else seen.incomplete++;
    if (end.response?.error?.code === 'worker_lost') seen.buried++;
    if (text === '') {
      assert.notEqual(status, 'completed', 'a whole answer without its text');
      continue;
    }
    const upstream = upstreams[Number.parseInt(text, 10)];
    assert.ok(upstream?.whole.startsWith(text), 'a prefix of what one upstream said');
    if (status === 'completed') assert.equal(text, upstream.whole, 'completed means the whole');
  }
}

function disturb(sim: EngineSim, clients: Client[], followed: Followed, chance: Chance): void {
  const roll = chance.next();
  const client = clients.length > 0 ? pick(chance, clients) : undefined;
  if (roll < 0.02 && clients.length < SESSIONS_MAX) {
    clients.push({ connection: sim.connect(), asked: 0, cancelled: 0 });
  } else if (roll < 0.08 && client?.connection.open && client.asked < 6) {
    client.asked++;
    sim.send(client.connection, {
      type: 'response.create',
      stream_id: 'lane',
      response: { model: 'demo', input: 'x'.repeat(below(chance, 3) * 20_000) + 'go' },
    });
  } else if (roll < 0.085 && client?.connection.open) {
    client.cancelled++;
    sim.send(client.connection, { type: 'response.cancel', stream_id: 'lane' });
  } else if (roll < 0.09 && client?.connection.open) {
    sim.leave(client.connection);
    seen.left++;
  } else if (roll < 0.12 && client) {
    client.connection.full = true;
    seen.held++;
  } else if (roll < 0.16 && client?.connection.open) sim.read(client.connection);
  else if (roll < 0.17) sim.kill(below(chance, 2));
  else if (roll < 0.174) sim.killCoordinator();
  else if (roll < 0.185) change(sim, followed, chance);
}

/** Which options a worker may follow now: the newest, and those before it until everybody was told. */
class Followed {
  readonly #sim: EngineSim;
  #allowed: EngineSim['options'][];
  #pending = 0;
  #quiet = 0;
  /** Seats that were promised and not written. */
  unwritten = 0;

  constructor(sim: EngineSim) {
    this.#sim = sim;
    this.#allowed = [sim.options];
  }

  change(user: UserOptions): void {
    const told = this.#sim.update(user);
    const { epoch, seats } = this.#sim.configured.now;
    this.#allowed.push(this.#sim.options);
    this.#pending++;
    const isUnwritten = ({ row, since }: Seat) => !isWritten(this.#sim, row, since);
    void told.then(() => {
      seen.changed++;
      this.#pending--;
      this.#quiet = 0;
      const isNewest = this.#sim.configured.now.epoch === epoch;
      return isNewest && (this.unwritten += seats.filter(isUnwritten).length);
    });
  }

  /** The world stood still: whoever was told has heard it. */
  settled(): void {
    if (this.#pending === 0 && ++this.#quiet > 1) this.#allowed = this.#allowed.slice(-1);
  }

  check({ upstream, origin }: FakeExchange): void {
    const known = this.#allowed.some(({ upstreams }) =>
      upstreams.some(({ name, url }) => name === upstream && new URL(url).origin === origin),
    );
    assert.ok(known, `${upstream} at ${origin} is not configured any more`);
  }
}

const isWritten = ({ table }: EngineSim, row: number, since: number) =>
  table.get(row, UpstreamWord.present) === 1 && table.get(row, UpstreamWord.epoch) === since;

function change(sim: EngineSim, followed: Followed, chance: Chance): void {
  const before = sim.configured.left().length;
  followed.change(otherOptions(chance));
  const left = sim.configured.left();
  if (left.length <= before) return;
  seen.outlived += left.filter(({ row }) => sim.table.inFlight(row) > 0).length;
}

/** Another upstream alone: the threads that live go over to it, and those that replace them begin with it. */
async function turnOver(sim: EngineSim, followed: Followed): Promise<void> {
  sim.killCoordinator();
  followed.change({ ...options, upstreams: [{ name: 'newest', url: 'http://newest.test/v1' }] });
  await sim.world.pass(2_000);
  await askNewest(sim);
  sim.kill(0);
  sim.kill(1);
  await sim.world.pass(100);
  await askNewest(sim);
  assert.equal(followed.unwritten, 0, 'rows that were promised and not written');
}

/** Of every worker. */
async function askNewest(sim: EngineSim): Promise<void> {
  sim.onOpen = (exchange) =>
    sim.world.ticker.soon(() => void exchange.answer('from ', exchange.upstream));
  for (const connection of [sim.connect(), sim.connect()]) {
    sim.send(connection, { type: 'response.create', response: { model: 'demo', input: 'go' } });
    await sim.world.pass(200);
    const events = connection.sent.map(({ text }) => JSON.parse(text) as Event);
    assert.equal(textOf(events), 'from newest');
    sim.leave(connection);
  }
}

async function play(chance: Chance): Promise<void> {
  const sim = new EngineSim(options, () => chance.next());
  const upstreams: PlayedUpstream[] = [];
  const followed = new Followed(sim);
  sim.onOpen = (exchange) => {
    followed.check(exchange);
    upstreams.push(new PlayedUpstream(exchange, chance, upstreams.length));
  };
  await sim.start();
  const clients: Client[] = [{ connection: sim.connect(), asked: 0, cancelled: 0 }];
  for (let n = 0; n < STEPS; n++) {
    const ready = upstreams.filter(({ exchange, steps }) => exchange.live && steps.length > 0);
    if (ready.length > 0) pick(chance, ready).steps.shift()?.();
    disturb(sim, clients, followed, chance);
    if (chance.next() < 0.5) {
      await sim.world.settle();
      followed.settled();
    }
    if (chance.next() < 0.02) await sim.world.pass(below(chance, 1500));
  }
  // The storm is over: clients read, upstreams say the rest, time passes.
  for (let n = 0; n < 200 && sim.requests.count > 0; n++) {
    for (const { connection } of clients) if (connection.open) sim.read(connection);
    for (const { exchange, steps } of upstreams)
      while (exchange.live && steps.length > 0) steps.shift()?.();
    await sim.world.pass(250);
  }
  for (const client of clients) judge(client, upstreams);
  assert.equal(sim.requests.count, 0, 'requests kept');
  for (const { connection } of clients) if (connection.open) sim.leave(connection);
  await turnOver(sim, followed);
  await sim.world.pass(500);
  for (const fact of sim.facts) {
    if (fact.fact === 'coordinator-lost') seen.coordinatorLost++;
    if (fact.fact !== 'worker-lost') continue;
    seen.lost++;
    seen.rerun += fact.rerun;
  }
  assert.equal(sim.sockets, 0, 'upstream sockets');
  assert.equal(sim.sessions.count, 0, 'sessions');
  const rows = [...Array(sim.table.upstreamsMax).keys()];
  const inFlight = rows.filter((row) => sim.table.inFlight(row) !== 0);
  assert.deepEqual(inFlight, [], 'in flight, at upstreams of now and of before');
  const { seats } = sim.configured.now;
  const present = rows.filter((row) => sim.table.get(row, UpstreamWord.present) === 1);
  const seated = seats.map(({ row }) => row).sort((a, b) => a - b);
  assert.deepEqual(present, seated, 'the coordinator wrote the newest options');
  for (const { row, since } of seats) {
    assert.equal(sim.table.get(row, UpstreamWord.epoch), since, 'for the newest upstream');
  }
  assert.equal(sim.slab.taken(), 0, 'slab blocks');
  assert.equal(sim.ledger.total(), 0, 'bytes in the ledger');
  assert.equal(sim.count('millrace_streams_running'), 0, 'streams running');
}

test('random clients, upstreams, changes of the options, deaths of threads: one end each, always a prefix, nothing left over', async (t) => {
  const { seed } = seeded('engine');
  for (let run = 0; run < RUNS; run++) {
    try {
      await play(dice(seed + run * 7919));
    } catch (thrown) {
      throw new Error(`run ${run} of SEED=${seed}: ${String(thrown)}`, { cause: thrown });
    }
  }
  t.diagnostic(JSON.stringify(seen));
  for (const [what, count] of Object.entries(seen)) assert.ok(count > 0, `no run met ${what}`);
});

test('a worker that dies, and a replacement that hangs in its start: the request that waited has not had its rerun, and the next worker answers', async () => {
  const chance = dice(1);
  const sim = new EngineSim({ ...options, threads: { startTimeoutMs: 2_000 } }, () =>
    chance.next(),
  );
  await sim.start();
  const connection = sim.connect();
  const ask = () =>
    sim.send(connection, { type: 'response.create', response: { model: 'demo', input: 'go' } });
  ask();
  await sim.world.settle();
  sim.hungStarts = 1;
  sim.onOpen = (exchange) => sim.world.ticker.soon(() => void exchange.answer('still ', 'here'));
  assert.ok(sim.kill(0));
  await sim.world.pass(5_000);
  const lost = sim.facts.flatMap((fact) => (fact.fact === 'worker-lost' ? [fact.reason] : []));
  assert.deepEqual(lost, ['killed by the simulation', 'no heartbeat for 2000 ms']);
  ask();
  await sim.world.pass(1_000);
  const events = connection.sent.map(({ text }) => JSON.parse(text) as Event);
  const ends = events.filter(isTerminal).map(({ type }) => type);
  assert.deepEqual(ends, ['response.completed', 'response.completed']);
  assert.equal(textOf(events), 'still herestill here');
  assert.equal(sim.count('millrace_reruns_total'), 1);
});

test('replacements that never start: the request that waits for them ends in a failure, and is not kept for ever', async () => {
  const chance = dice(1);
  const sim = new EngineSim({ ...options, threads: { startTimeoutMs: 2_000 } }, () =>
    chance.next(),
  );
  await sim.start();
  const connection = sim.connect();
  sim.send(connection, { type: 'response.create', response: { model: 'demo', input: 'go' } });
  await sim.world.settle();
  sim.hungStarts = 100;
  assert.ok(sim.kill(0));
  await sim.world.pass(30_000);
  const events = connection.sent.map(({ text }) => JSON.parse(text) as Event);
  assert.deepEqual(
    events.filter(isTerminal).map(({ type }) => type),
    ['response.failed'],
  );
  assert.equal(sim.requests.count, 0);
});
