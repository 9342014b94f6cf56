/**
 * A relay in one thread: real rings, cells, slab and table, real dialects and provider; simulated time, upstreams that a test
 * plays, and main's part played here.
 */
import assert from 'node:assert/strict';
import type { RecordHeader } from '../../src/memory/contract.ts';
import { allocateCounters, openCounters, readCounters } from '../../src/memory/counters.ts';
import { Flag, Kind, ShareWord, UPSTREAM_ROWS, UpstreamWord } from '../../src/memory/layout.ts';
import { allocateLedger, openLedger } from '../../src/memory/ledger.ts';
import { allocateLimitTable, openLimitTable } from '../../src/memory/limit-table.ts';
import { allocateReservationBook, openReservationBook } from '../../src/memory/reservation-book.ts';
import { allocateRing, ringConsumer, ringProducer } from '../../src/memory/ring.ts';
import { allocateSessionCells, openSessionCells } from '../../src/memory/session-cells.ts';
import { allocateSlab, openSlab } from '../../src/memory/slab.ts';
import { allocateThreadCells, openThreadCells } from '../../src/memory/thread-cells.ts';
import { allocateUpstreamTable, openUpstreamTable } from '../../src/memory/upstream-table.ts';
import { dimensionsOf, type MetricName, schedule } from '../../src/observe/metrics.ts';
import { schema, type UserOptions } from '../../src/options/schema.ts';
import { LIMIT_ROWS, LimitPlan } from '../../src/policy/limit/limit-plan.ts';
import { Coalescer } from '../../src/protocol/coalesce.ts';
import { dialects } from '../../src/protocol/dialects/dialects.ts';
import type { Provider } from '../../src/protocol/provider.ts';
import { providers } from '../../src/protocol/providers/providers.ts';
import { decodeEpitaph } from '../../src/threads/epitaph-record.ts';
import type { Fact } from '../../src/threads/facts.ts';
import { MESSAGE_PROLOGUE_BYTES } from '../../src/threads/messages.ts';
import { slabOwner, WORKER_ROW } from '../../src/threads/roster.ts';
import { type Modules, noModules } from '../../src/worker/modules.ts';
import { Relay } from '../../src/worker/relay.ts';
import { FakeSockets } from './fake-sockets.ts';
import { FakeTransport } from './fake-transport.ts';
import { firstConfiguration } from './first-configuration.ts';
import { runJob } from './run-job.ts';
import { SimulatedWorld } from './simulated-world.ts';

export interface Frame {
  readonly slot: number;
  readonly stream: number;
  readonly sequence: number;
  readonly flags: number;
  readonly text: string;
}

export interface RigOptions {
  readonly options?: UserOptions;
  readonly upstreams?: number;
  readonly chance?: () => number;
  readonly slabBytes?: number;
  readonly parse?: (bytes: Uint8Array) => Promise<unknown>;
  readonly modules?: Partial<Modules>;
  readonly providers?: Readonly<Record<string, Provider>>;
}

export const SESSION_GENERATION = 9;
const WORKERS = 2;

export function rig({
  options: user = {},
  upstreams = 2,
  chance,
  slabBytes,
  parse,
  modules,
  providers: own,
}: RigOptions = {}) {
  const names = ['one', 'two', 'three', 'four'].slice(0, upstreams);
  const options = schema.parse({
    upstreams: names.map((name) => ({ name, url: `http://${name}.test/v1`, models: ['demo'] })),
    ...user,
  });
  const world = new SimulatedWorld(chance);
  const transport = new FakeTransport();
  const sockets = new FakeSockets();
  const facts: Fact[] = [];
  const size = schedule(dimensionsOf(options)).size;
  const shared = {
    sessions: allocateSessionCells(16),
    threads: allocateThreadCells(WORKER_ROW + WORKERS),
    table: allocateUpstreamTable(UPSTREAM_ROWS, WORKERS),
    slab: allocateSlab(slabBytes ?? 2 ** 20),
    ledger: allocateLedger(),
    limits: allocateLimitTable(64, LIMIT_ROWS, 7),
    reservations: allocateReservationBook(1),
    counters: allocateCounters(WORKER_ROW + WORKERS, size),
    up: allocateRing(options.memory.ringBytes),
    down: allocateRing(options.memory.ringBytes),
  };
  const cells = openSessionCells(shared.sessions);
  const threads = openThreadCells(shared.threads);
  const table = openUpstreamTable(shared.table);
  const slab = openSlab(shared.slab);
  const ledger = openLedger(shared.ledger, options.memory.memoryBytesMax);
  const { seats } = firstConfiguration(options);
  for (const [index, { maxConnections, weight }] of options.upstreams.entries()) {
    table.set(index, UpstreamWord.present, 1);
    table.set(index, UpstreamWord.epoch, seats[index].since);
    table.set(index, UpstreamWord.health, 2);
    table.set(index, UpstreamWord.capacity, maxConnections);
    table.set(index, UpstreamWord.capacityMax, maxConnections);
    table.set(index, UpstreamWord.weight, weight);
  }
  const late: { relay?: Relay } = {};
  const toRelay = { ring: () => late.relay?.bell() };
  const up = ringProducer(shared.up, toRelay);
  const down = ringConsumer(shared.down, toRelay);
  const generation = threads.renew(WORKER_ROW);
  const relay = new Relay({
    worker: 0,
    generation,
    options,
    seats,
    clock: world.clock,
    random: world.random,
    ticker: world.ticker,
    transport,
    sockets,
    providers: { ...providers, ...own },
    dialects,
    modules: { ...noModules, ...modules },
    coalesce: (next, onMerged) => new Coalescer(next, onMerged),
    up: ringConsumer(shared.up),
    down: ringProducer(shared.down, { ring: () => {} }),
    slab,
    sessions: cells,
    threads,
    table,
    ledger,
    limits: openLimitTable(shared.limits, 1),
    reservations: openReservationBook(shared.reservations),
    counters: openCounters(shared.counters, WORKER_ROW, size),
    job: async (name, argument) => {
      if (name === 'parse' && parse) return parse(argument as Uint8Array);
      return runJob(name, argument);
    },
    publish: (fact) => void facts.push(fact),
  });
  late.relay = relay;
  return new Rig(
    relay,
    {
      options,
      seats,
      world,
      transport,
      sockets,
      facts,
      cells,
      threads,
      table,
      slab,
      ledger,
      limits: openLimitTable(shared.limits),
      book: openReservationBook(shared.reservations),
    },
    up,
    down,
    () => readCounters(shared.counters, WORKER_ROW, size),
  );
}

type Parts = {
  options: ReturnType<typeof schema.parse>;
  seats: ReturnType<typeof firstConfiguration>['seats'];
  world: SimulatedWorld;
  transport: FakeTransport;
  sockets: FakeSockets;
  facts: Fact[];
  cells: ReturnType<typeof openSessionCells>;
  threads: ReturnType<typeof openThreadCells>;
  table: ReturnType<typeof openUpstreamTable>;
  slab: ReturnType<typeof openSlab>;
  ledger: ReturnType<typeof openLedger>;
  limits: ReturnType<typeof openLimitTable>;
  book: ReturnType<typeof openReservationBook>;
};

export class Rig {
  readonly relay: Relay;
  readonly parts: Parts;
  readonly world: SimulatedWorld;
  readonly transport: FakeTransport;
  /** Frames that main took, in order. */
  readonly frames: Frame[] = [];
  readonly settled: number[] = [];
  readonly #answered = new Set<number>();
  readonly closes: { slot: number; code: number; reason: string }[] = [];
  /** Messages that limits let in, and what main keeps of it for a rerun. */
  readonly admitted = new Map<number, number>();
  readonly epitaphs: { stream: number; text: string; at: number; after: number }[] = [];
  /** Does main read by itself whenever the world settles? */
  reading = true;
  /** Does it grant what it read at once? */
  granting = true;
  readonly #up: ReturnType<typeof ringProducer>;
  readonly #down: ReturnType<typeof ringConsumer>;
  readonly #counters: () => Float64Array;
  readonly #taken = new Map<number, number>();
  #number = 0;

  constructor(
    relay: Relay,
    parts: Parts,
    up: ReturnType<typeof ringProducer>,
    down: ReturnType<typeof ringConsumer>,
    counters: () => Float64Array,
  ) {
    this.relay = relay;
    this.parts = parts;
    this.world = parts.world;
    this.transport = parts.transport;
    this.#up = up;
    this.#down = down;
    this.#counters = counters;
  }

  /** A session on this worker, with its whole credit. */
  open(
    slot: number,
    dialect: 'responses' | 'chat' | 'route' | 'proxy' = 'responses',
    more: object = {},
  ): void {
    this.parts.cells.open(slot, SESSION_GENERATION, this.parts.options.session.creditBytes);
    const facts = { dialect, principal: 'anonymous', address: '127.0.0.1', ...more };
    this.#record(Kind.sessionOpen, slot, Buffer.from(JSON.stringify(facts)));
  }

  /** main has changed the limits. */
  renewLimits(): void {
    LimitPlan.renew(this.parts.limits);
  }

  leave(slot: number, code = 1000, reason = ''): void {
    this.parts.cells.close(slot);
    this.#record(Kind.sessionClose, slot, Buffer.from(reason), 0, 0, code);
  }

  order(kind: number): void {
    this.#record(kind, 0, Buffer.alloc(0));
  }

  /** A client message; returns its number. The same `nonce` makes the same ids. */
  send(
    slot: number,
    message: unknown,
    { skip = 0, nonce = ++this.#number, ticket = false, paid = 0 } = {},
  ): number {
    const number = nonce;
    const text = typeof message === 'string' ? message : JSON.stringify(message);
    const bytes = Buffer.alloc(MESSAGE_PROLOGUE_BYTES + Buffer.byteLength(text));
    bytes.fill(number, 0, 16);
    bytes.writeDoubleLE(this.world.clock.wall(), 16);
    bytes.writeUInt16LE(WORKER_ROW, 24);
    bytes.writeUInt32LE(skip, 28);
    bytes.writeUInt32LE(paid, 36);
    bytes.write(text, MESSAGE_PROLOGUE_BYTES);
    if (!ticket) this.#record(Kind.message, slot, bytes, number);
    else {
      const claimed = this.parts.slab.claim(bytes.length, slabOwner(WORKER_ROW, 1));
      assert.ok(claimed);
      this.parts.slab.view(claimed).set(bytes);
      const words = Buffer.alloc(8);
      words.writeUInt32LE(claimed.block, 0);
      words.writeUInt32LE(claimed.length, 4);
      this.#record(Kind.message, slot, words, number, Flag.ticket, bytes.length);
    }
    return number;
  }

  /** A turn in the Responses dialect. */
  ask(
    slot: number,
    more: object = {},
    how: { skip?: number; nonce?: number; paid?: number } = {},
  ): number {
    const message = { type: 'response.create', model: 'demo', input: 'hi', ...more };
    return this.send(slot, message, how);
  }

  async settle(): Promise<void> {
    await this.world.settle();
    if (!this.reading) return;
    while (this.read() > 0) await this.world.settle();
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 5) {
      await this.world.pass(Math.min(5, left));
      await this.settle();
    }
  }

  /** main takes what is in the ring. */
  read(most = 512): number {
    const slots = new Set<number>();
    const taken = this.#down.drain(most, (header, payload) => {
      this.#take(header, payload);
      if (header.kind === Kind.frame) slots.add(header.slot);
    });
    if (this.granting) for (const slot of slots) this.grant(slot);
    return taken;
  }

  /** main grants: the socket holds `buffered` bytes. */
  grant(slot: number, buffered = 0): void {
    const { cells, options } = this.parts;
    const taken = this.#taken.get(slot) ?? 0;
    if (cells.grant(slot, taken, buffered, options.session.creditBytes)) {
      this.#record(Kind.credit, slot, Buffer.alloc(0));
    }
  }

  of(stream: number): Frame[] {
    return this.frames.filter((frame) => frame.stream === stream);
  }

  events(stream: number): { type: string; [key: string]: unknown }[] {
    return this.of(stream).map(({ text }) => JSON.parse(text));
  }

  /** The deltas a client saw. */
  text(stream: number): string {
    return this.events(stream)
      .filter(({ type }) => type === 'response.output_text.delta')
      .map(({ delta }) => String(delta))
      .join('');
  }

  /** The one end of a message. Checks what holds for every answer. */
  end(stream: number): { type: string; code: string | undefined } {
    const frames = this.of(stream);
    const ends = frames.filter(({ flags }) => flags & Flag.terminal);
    assert.equal(ends.length, 1, `message ${stream} has ${ends.length} ends`);
    assert.equal(frames.at(-1), ends[0], 'the end comes last');
    assert.ok(!this.settled.includes(stream), 'a settled record beside a terminal frame');
    const numbers = frames.map(({ sequence }) => sequence);
    assert.deepEqual(
      numbers,
      numbers.map((_, at) => numbers[0] + at),
      'sequences without a gap',
    );
    const last = this.events(stream).at(-1) ?? { type: '' };
    const response = last['response'] as { error?: { code: string } | null } | undefined;
    const error = (last['error'] ?? response?.error) as { code: string } | null | undefined;
    return { type: last.type, code: error?.code };
  }

  hasEnd(stream: number): boolean {
    return this.of(stream).some(({ flags }) => flags & Flag.terminal);
  }

  inFlight(): number[] {
    const { options, table } = this.parts;
    return options.upstreams.map((_, index) => table.inFlight(index));
  }

  /** started, succeeded, failed of this worker at an upstream. */
  outcomes(upstream: number): [started: number, succeeded: number, failed: number] {
    const { table } = this.parts;
    const word = (at: number) => table.share(upstream, 0, at);
    const [succeeded, failed] = [word(ShareWord.succeeded), word(ShareWord.failed)];
    return [word(ShareWord.inFlight) + succeeded + failed, succeeded, failed];
  }

  count(name: MetricName, ...labels: number[]): number {
    const at = schedule(dimensionsOf(this.parts.options)).index(name, ...labels);
    return this.#counters()[at];
  }

  /** Nothing is left over: what every test may check at its end. */
  assertIdle(): void {
    assert.equal(this.relay.running, 0, 'streams running');
    assert.deepEqual(
      this.inFlight(),
      this.inFlight().map(() => 0),
      'in flight',
    );
    assert.equal(this.transport.sockets, 0, 'sockets');
    assert.equal(this.relay.waiting, 0, 'taps waiting');
    assert.equal(this.parts.ledger.held('outbox'), 0, 'bytes in the outbox account');
    assert.equal(this.parts.slab.taken(), 0, 'slab blocks');
  }

  #take(header: RecordHeader, payload: Uint8Array): void {
    const { slot, stream, sequence, flags } = header;
    const large = (flags & Flag.ticket) !== 0;
    const bytes = large ? this.#redeem(payload, header.aux0) : Buffer.from(payload);
    const text = bytes.toString();
    // A message has one answer: its last frame, or that it needs none.
    const answers = header.kind === Kind.settled || (flags & Flag.terminal) !== 0;
    if (answers && stream !== 0) {
      assert.ok(!this.#answered.has(stream), `message ${stream} is answered twice`);
      this.#answered.add(stream);
    }
    if (header.kind === Kind.frame) {
      this.#taken.set(slot, (this.#taken.get(slot) ?? 0) + bytes.length);
      this.frames.push({ slot, stream, sequence, flags, text });
    } else if (header.kind === Kind.settled) this.settled.push(stream);
    else if (header.kind === Kind.close)
      this.closes.push({ slot, code: header.aux0, reason: text });
    else if (header.kind === Kind.epitaph) {
      const { at, bytes: words } = decodeEpitaph(bytes);
      this.epitaphs.push({ stream, text: words.toString(), at, after: this.of(stream).length });
    } else if (header.kind === Kind.admitted) {
      assert.ok(header.aux0 > 0);
      this.admitted.set(stream, header.aux0);
    } else assert.fail(`a record of kind ${header.kind}`);
  }

  #redeem(payload: Uint8Array, length: number): Buffer {
    const words = Buffer.from(payload);
    const ticket = { block: words.readUInt32LE(0), length: words.readUInt32LE(4) };
    assert.equal(ticket.length, length);
    const copy = Buffer.from(this.parts.slab.view(ticket));
    this.parts.slab.free(ticket);
    return copy;
  }

  #record(kind: number, slot: number, payload: Uint8Array, stream = 0, flags = 0, aux0 = 0): void {
    const header = {
      length: payload.length,
      kind,
      flags,
      slot,
      generation: SESSION_GENERATION,
      stream,
      sequence: 0,
      aux0,
      aux1: 0,
    };
    assert.ok(this.#up.write(header, payload), 'the up ring is full');
  }
}
