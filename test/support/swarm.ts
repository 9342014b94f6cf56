/**
 * One seed, one life of the whole engine: a world drawn from the seed (providers, limits, speeds, and some of all that can go wrong), a storm in it, and then peace.
 * After the storm every request must have had its one end, nothing may be held by anyone, and whoever asks then is answered in full.
 * The same seed plays the same life: `hash` is over everything that was seen, in order.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { UserOptions } from '../../src/options/schema.ts';
import { limitScopes, limitVerdicts } from '../../src/policy/limit/limit-scopes.ts';
import { EngineSim } from './engine-sim.ts';
import { below, type Chance, dice, pick } from './played-upstream.ts';
import { judge, type SwarmClient, type Verdicts } from './swarm-client.ts';
import { type Manners, SwarmUpstream } from './swarm-upstream.ts';
import {
  type Disturbance,
  limitsBy,
  NAMES,
  PROVIDERS,
  STRATEGIES,
  upstreamsOf,
  type World,
  worldOf,
} from './swarm-world.ts';

const KEY = limitScopes.indexOf('key');

export interface Life {
  readonly hash: string;
  readonly verdicts: Verdicts;
  /** What it came across, and how often. */
  readonly met: ReadonlyMap<string, number>;
}

export async function live(seed: number, line: (text: string) => void = () => {}): Promise<Life> {
  const life = new SwarmLife(dice(seed * 7919 + 1), line);
  await life.storm();
  await life.peace();
  return life.end();
}

class SwarmLife {
  readonly #chance: Chance;
  readonly #line: (text: string) => void;
  readonly #hash = createHash('sha256');
  readonly #sim: EngineSim;
  readonly #world: World;
  readonly #clients: SwarmClient[] = [];
  readonly #upstreams: SwarmUpstream[] = [];
  readonly #met = new Map<string, number>();
  /** Frames and facts that were told already. */
  readonly #told = new Map<SwarmClient, number>();
  #facts = 0;
  readonly #ids = new Map<string, number>();
  /** Upstreams come and go: rows are not told from outside any more. */
  #changed = false;
  #manners: Manners;
  #timers = 0;
  readonly #verdicts: Verdicts = {
    complete: 0,
    failed: 0,
    cancelled: 0,
    complained: 0,
    cutOff: 0,
    codes: new Map(),
  };

  constructor(chance: Chance, line: (text: string) => void) {
    this.#chance = chance;
    this.#line = line;
    this.#world = worldOf(chance);
    this.#manners = this.#world.manners;
    this.#sim = new EngineSim(this.#world.options, () => chance.next());
    this.#sim.onOpen = (exchange) => {
      const at = this.#upstreams.length;
      const options = this.#sim.options.upstreams.find(({ name }) => name === exchange.upstream);
      const { path } = exchange.request;
      const provider =
        options?.provider && pathsOf[options.provider] === path ? options.provider : byPath(path);
      const upstream = new SwarmUpstream(
        exchange,
        at,
        provider,
        this.#manners,
        this.#sim.world,
        chance,
      );
      this.#upstreams.push(upstream);
      this.#say(
        `upstream ${exchange.upstream} takes ${at} (${provider}): ${upstream.fault ?? 'answers'}`,
      );
      if (upstream.fault) this.#meet(upstream.fault);
    };
  }

  async storm(): Promise<void> {
    const { options, steps, stepMs, clients, ...rest } = this.#world;
    this.#say(`world ${JSON.stringify({ steps, stepMs, ...rest, ...options })}`);
    await this.#sim.start();
    await this.#sim.world.pass(1);
    this.#timers = this.#sim.world.timers;
    for (let n = 0; n < clients; n++) this.#connect();
    for (let n = 0; n < steps; n++) {
      this.#act();
      await this.#pass(below(this.#chance, 2 * stepMs));
    }
  }

  /** No more faults; clients read; upstreams say the rest; time passes. */
  async peace(): Promise<void> {
    const sim = this.#sim;
    this.#say('peace');
    sim.hungStarts = 0;
    this.#manners = { ...this.#manners, faults: [], failing: 0, meanMs: 0 };
    for (let n = 0; n < 60 && (sim.requests.count > 0 || n < 4); n++) {
      for (const { connection } of this.#clients) if (connection.open) sim.read(connection);
      await this.#pass(500);
    }
    assert.equal(sim.requests.count, 0, 'requests without an end');
    for (const client of this.#clients) judge(client, this.#upstreams, this.#verdicts);
    await this.#askAgain();
  }

  async end(): Promise<Life> {
    const sim = this.#sim;
    for (const client of this.#clients) if (client.connection.open) this.#leave(client);
    // Lingering sockets, and alarms that were put off, are looked at once more.
    await this.#pass(45_000);
    assert.equal(sim.sockets, 0, 'upstream sockets');
    assert.equal(sim.sessions.count, 0, 'sessions');
    for (let row = 0; row < sim.table.upstreamsMax; row++)
      assert.equal(sim.table.inFlight(row), 0, `in flight at row ${row}`);
    assert.equal(sim.slab.taken(), 0, 'slab blocks');
    assert.equal(sim.ledger.total(), 0, 'bytes in the ledger');
    assert.equal(sim.count('millrace_streams_running'), 0, 'streams running');
    assert.equal(sim.running, 0, 'streams that a worker runs');
    assert.equal(sim.waiting, 0, 'taps that wait');
    assert.equal(sim.world.timers, this.#timers, 'timers');
    for (const worker of [0, 1]) assert.equal(sim.book.held(worker), 0, 'set aside of budgets');
    const asked = this.#clients.reduce((sum, each) => sum + each.asked, 0);
    const charged = limitVerdicts.reduce(
      (sum, _, verdict) => sum + sim.count('millrace_limit_checks_total', KEY, verdict),
      0,
    );
    assert.ok(charged <= asked, `${charged} charges for ${asked} requests`);
    if (charged > 0) this.#meet('limits');
    const faults = sim.facts.flatMap((fact) => (fact.fact === 'fault' ? [fact] : []));
    assert.deepEqual(faults, [], 'bugs that were caught');
    return { hash: this.#hash.digest('hex'), verdicts: this.#verdicts, met: this.#met };
  }

  /** After the storm everybody is answered in full, over every worker. */
  async #askAgain(): Promise<void> {
    const sim = this.#sim;
    // Circuits that opened in the storm had their time.
    await this.#pass(6_000);
    // One after the other: an upstream may have room for one alone.
    const fresh = [0, 1].map(() => this.#connect('responses'));
    for (const client of fresh) {
      this.#ask(client);
      for (let n = 0; n < 40 && sim.requests.count > 0; n++) {
        sim.read(client.connection);
        await this.#pass(250);
      }
    }
    const verdicts: Verdicts = {
      complete: 0,
      failed: 0,
      cancelled: 0,
      complained: 0,
      cutOff: 0,
      codes: new Map(),
    };
    for (const client of fresh) judge(client, this.#upstreams, verdicts);
    assert.equal(verdicts.complete, 2, `after the storm: ${[...verdicts.codes.keys()].join()}`);
  }

  #act(): void {
    const { disturbances: may, clients } = this.#world;
    const chance = this.#chance;
    const client = this.#clients.length > 0 ? pick(chance, this.#clients) : undefined;
    const isOpen = client?.connection.open === true;
    const roll = chance.next();
    if (roll < 0.45 && isOpen && client.asked < 6) return this.#ask(client);
    if (roll < 0.5 && this.#clients.length < clients + 4) return void this.#connect();
    if (roll < 0.58 && isOpen) return this.#sim.read(client.connection);
    if (roll > 0.8 && may.length > 0) this.#disturb(pick(chance, may), client);
  }

  #disturb(what: Disturbance, client: SwarmClient | undefined): void {
    const sim = this.#sim;
    const open = client?.connection.open ? client : undefined;
    this.#meet(what);
    switch (what) {
      case 'leave':
        return open && this.#chance.next() < 0.4 ? this.#leave(open) : undefined;
      case 'hold':
        if (open) open.connection.full = true;
        return;
      case 'cancel':
        return open && this.#cancel(open);
      case 'kill worker':
        if (this.#chance.next() > 0.4) return;
        this.#say('a worker dies');
        return void sim.kill(below(this.#chance, 2));
      case 'kill coordinator':
        this.#say('the coordinator dies');
        return sim.killCoordinator();
      case 'hung start':
        sim.hungStarts = 1;
        return;
      case 'change':
        return this.#change();
      case 'rush':
        for (const each of this.#clients) {
          if (each.connection.open && each.asked < 12) this.#ask(each);
        }
    }
  }

  #connect(dialect = pick(this.#chance, this.#world.dialects)): SwarmClient {
    const connection = this.#sim.connect({
      dialect,
      ...(dialect === 'completions' && { once: true }),
    });
    const { lanes } = this.#world;
    const client = { dialect, connection, lanes, asked: 0, cancelled: 0, left: false };
    this.#clients.push(client);
    this.#say(`client ${this.#clients.length - 1} comes (${dialect})`);
    if (dialect === 'completions') this.#ask(client);
    return client;
  }

  #ask(client: SwarmClient): void {
    const { dialect, connection, lanes } = client;
    if (dialect === 'completions' && client.asked > 0) return;
    client.asked++;
    const input = 'x'.repeat(below(this.#chance, 10) === 0 ? 20_000 : 2);
    const lane = below(this.#chance, lanes);
    this.#say(`client ${this.#clients.indexOf(client)} asks on lane ${lane}`);
    const messages = [{ role: 'user', content: input }];
    const bodies = {
      responses: {
        type: 'response.create',
        ...(lane > 0 && { stream_id: `l${lane}` }),
        response: { model: 'demo', input },
      },
      chat: { message: input, model: 'demo' },
      completions: { model: 'demo', stream: true, messages },
    };
    this.#sim.send(connection, bodies[dialect]);
  }

  #cancel(client: SwarmClient): void {
    if (client.dialect === 'completions') return;
    client.cancelled++;
    this.#say(`client ${this.#clients.indexOf(client)} cancels`);
    const lane = below(this.#chance, client.lanes);
    const bodies = {
      responses: { type: 'response.cancel', ...(lane > 0 && { stream_id: `l${lane}` }) },
      chat: { cancel: true },
    };
    this.#sim.send(client.connection, bodies[client.dialect]);
  }

  #leave(client: SwarmClient): void {
    client.left = true;
    this.#say(`client ${this.#clients.indexOf(client)} leaves`);
    this.#sim.leave(client.connection);
  }

  #change(): void {
    const { options } = this.#world;
    const chance = this.#chance;
    const names = NAMES.slice(0, 1 + below(chance, NAMES.length));
    const { stream, balance } = options;
    const upstreams = upstreamsOf(chance, names, PROVIDERS);
    const gapTimeoutMs = 500 + below(chance, 1_000);
    const changed: UserOptions = {
      ...options,
      upstreams,
      stream: { ...stream, gapTimeoutMs, maxRetries: below(chance, 4) },
      balance: { ...balance, loadBalanceStrategy: pick(chance, STRATEGIES) },
      limits: limitsBy(gapTimeoutMs),
    };
    this.#say(`options change: ${JSON.stringify(changed.upstreams)}`);
    this.#changed = true;
    void this.#sim.update(changed);
  }

  async #pass(ms: number): Promise<void> {
    await this.#sim.world.pass(ms);
    this.#tell();
    if (!this.#changed) this.#count();
  }

  /** Every stream that an upstream answers holds one of its places. */
  #count(): void {
    const { options, table, configured } = this.#sim;
    for (const [at, { name, maxConnections }] of options.upstreams.entries()) {
      const running = this.#upstreams.filter(
        (each) => each.exchange.upstream === name && each.running,
      ).length;
      const inFlight = table.inFlight(configured.now.seats[at].row);
      assert.ok(
        inFlight >= running,
        `${inFlight} in flight at ${name}, ${running} streams run there`,
      );
      assert.ok(
        running <= maxConnections,
        `${running} streams at ${name}, which takes ${maxConnections}`,
      );
    }
  }

  #meet(what: string): void {
    this.#met.set(what, (this.#met.get(what) ?? 0) + 1);
  }

  #say(text: string): void {
    const said = `${Math.round(this.#sim.world.clock.now())} ${this.#named(text)}`;
    this.#hash.update(`${said}\n`);
    this.#line(said);
  }

  /** Ids are drawn from the system, so that nobody can guess them: here they are told by the order in which they come. */
  #named(text: string): string {
    return text.replace(/\b(resp_|chat_|chatcmpl-)[\w-]{31}/g, (id, kind: string) => {
      const number = this.#ids.get(id) ?? this.#ids.size;
      this.#ids.set(id, number);
      return `${kind}${number}`;
    });
  }

  /** What happened since. */
  #tell(): void {
    for (const fact of this.#sim.facts.slice(this.#facts)) {
      this.#say(`fact ${JSON.stringify(fact)}`);
      this.#meet(fact.fact);
    }
    this.#facts = this.#sim.facts.length;
    for (const [at, client] of this.#clients.entries()) {
      const { dialect, connection } = client;
      const { sent } = connection;
      const from = this.#told.get(client) ?? 0;
      for (const { text } of sent.slice(from))
        this.#say(`client ${at} gets ${dialect === 'completions' ? JSON.stringify(text) : text}`);
      this.#told.set(client, sent.length);
    }
  }
}

const pathsOf: Readonly<Record<string, string>> = {
  'openai-chat': '/v1/chat/completions',
  'openai-responses': '/v1/responses',
  anthropic: '/v1/messages',
  ollama: '/api/chat',
};

/** It was opened under options that are no more. */
function byPath(path: string): string {
  const found = Object.entries(pathsOf).find(([, known]) => known === path);
  if (!found) throw new Error(`nobody speaks at ${path}`);
  return found[0];
}
