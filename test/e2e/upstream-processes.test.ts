/**
 * Goal: upstreams that really die, hang and lie behind bad networks end every stream once and in time, and leave nothing behind. Method: simulated upstreams in
 * processes of their own behind proxies that spoil connections; 200 streams a round while processes are stopped, continued and killed. SLOW=1: 100 rounds.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createEngine, type Engine } from '../../src/engine/engine.ts';
import { open, type TestClient } from '../support/client.ts';
import { FaultProxy, type Toxic } from '../support/fault-proxy.ts';
import { below, pick } from '../support/played-upstream.ts';
import { answer, ask, assertWhole, textOf } from '../support/responses.ts';
import { seeded } from '../support/seed.ts';
import { until } from '../support/until.ts';
import { startUpstreamProcess, type UpstreamProcess } from '../support/upstream-process.ts';

const ROUNDS = process.env['SLOW'] ? 100 : 2;
const CLIENTS = 40;
const TURNS = 5;
const UPSTREAMS = 3;
const TEXT = 'the wheel turns, the stone follows: größe 水車 🌊 and so on until the end. '
  .repeat(4)
  .trim();

const stream = {
  connectTimeoutMs: 500,
  headersTimeoutMs: 500,
  firstDeltaTimeoutMs: 800,
  gapTimeoutMs: 500,
  deadlineMs: 2_500,
  retryDelayMs: 5,
  finishGraceMs: 200,
};
/** All attempts, then the answer at its slowest, one silence, and a second for the machine. */
const STREAM_MS_MAX = stream.deadlineMs + 4_000 + stream.gapTimeoutMs + 1_000;

const codes =
  /^upstream_(reset|truncated|refused|malformed|gap_timeout|first_timeout|connect_timeout|none|status|error)$|^deadline$/;

let processes: UpstreamProcess[];
let proxies: FaultProxy[];
let engine: Engine;
let clients: TestClient[];

before(async () => {
  processes = await Promise.all(Array.from({ length: UPSTREAMS }, startUpstreamProcess));
  proxies = await Promise.all(processes.map(({ port }) => FaultProxy.start(port)));
  engine = createEngine({
    server: { port: 0 },
    admin: { enabled: false },
    log: { level: 'silent' },
    upstreams: proxies.map(({ port }, at) => ({
      name: `u${at}`,
      url: `http://127.0.0.1:${port}/v1`,
    })),
    balance: { circuitBreakerTimeoutMs: 200, healthCheckIntervalMs: 200, healthTimeoutMs: 200 },
    stream,
  });
  const { url } = await engine.listen();
  clients = await Promise.all(Array.from({ length: CLIENTS }, () => open(`${url}/v1/responses`)));
});

after(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await engine.close();
  await Promise.all(proxies.map((proxy) => proxy.close()));
  await Promise.all(processes.map((process) => process.end()));
});

function toxicOf(chance: { next(): number }): Toxic {
  const at = below(chance, 6_000);
  const toxics: Toxic[] = [
    { delayMs: below(chance, 30) },
    { bytesPerSecond: 20_000 + below(chance, 40_000) },
    { resetAfter: at },
    { closeAfter: at },
    { silentAfter: at },
    { corruptAt: at },
    { blackhole: true },
  ];
  return pick(chance, toxics);
}

const seen = { complete: 0, failed: 0, codes: new Map<string, number>() };

async function talk(client: TestClient): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) {
    const fromMs = performance.now();
    ask(client, `@echo ${TEXT}`);
    const events = await answer(client, STREAM_MS_MAX + 10_000);
    const tookMs = performance.now() - fromMs;
    const end = assertWhole(events);
    const text = textOf(events);
    const code = end.response?.error?.code ?? end.error?.code ?? '';
    assert.ok(tookMs < STREAM_MS_MAX, `${Math.round(tookMs)} ms until ${end.type} ${code}`);
    if (end.type === 'response.completed') {
      assert.equal(text, TEXT);
      seen.complete++;
    } else {
      assert.match(code, codes);
      seen.failed++;
      seen.codes.set(code, (seen.codes.get(code) ?? 0) + 1);
    }
  }
}

/** Stops one, kills another, and brings both back. */
async function disturb(round: number): Promise<void> {
  const [stopped, killed] = [round % UPSTREAMS, (round + 1) % UPSTREAMS];
  // No stream may wait for the one that is stopped, or for the one that is gone, beyond its clocks.
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms)); // nothing may hang meanwhile
  await pause(150);
  processes[stopped].signal('SIGSTOP');
  await pause(150);
  await processes[killed].end();
  await pause(500);
  processes[killed] = await startUpstreamProcess();
  proxies[killed].retarget(processes[killed].port);
  await pause(200);
  processes[stopped].signal('SIGCONT');
}

test('processes stopped, continued and killed behind bad networks: every stream ends once and in time, and nothing is left', async (t) => {
  const chance = seeded('processes');
  for (const proxy of proxies) proxy.choose = () => (chance.next() < 0.4 ? toxicOf(chance) : {});
  let rssAfterFirst = 0;
  for (let round = 0; round < ROUNDS; round++) {
    await Promise.all([...clients.map(talk), disturb(round)]);
    if (round === 0) rssAfterFirst = process.memoryUsage().rss;
  }
  const grewMiB = (process.memoryUsage().rss - rssAfterFirst) / 2 ** 20;
  t.diagnostic(
    `${seen.complete} complete, ${seen.failed} failed: ${JSON.stringify(Object.fromEntries(seen.codes))}; RSS ${grewMiB.toFixed(1)} MiB after the first round`,
  );
  assert.equal(seen.complete + seen.failed, ROUNDS * CLIENTS * TURNS);
  assert.ok(seen.complete > 0 && seen.failed > 0);
  assert.ok(grewMiB < 64, `${grewMiB} MiB more than after the first round`);

  for (const proxy of proxies) proxy.choose = () => ({});
  await until(
    async () => {
      ask(clients[0], `@echo ${TEXT}`);
      const events = await answer(clients[0]);
      return assertWhole(events).type === 'response.completed' && textOf(events) === TEXT;
    },
    'a whole answer after the storm',
    15_000,
  );
  await until(
    () => engine.status().upstreams.every(({ inFlight }) => inFlight === 0),
    'nothing in flight',
  );
});
