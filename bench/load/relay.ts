/**
 * The relay: an SSE upstream at a fixed offered load, through the server, to Responses WebSocket clients. 200 streams; every
 * token is checked for order and completeness by the client. Loads lie below what the slowest peer can carry: at saturation
 * reads grow, CPU per token falls, and all servers look alike.
 */
import type { Bench, Outcome, Reading, Settings } from '../support/bench.ts';
import { type Load, type Server, startUpstream, stolenShare } from '../support/children.ts';
import { millraceVariants } from '../support/millrace.ts';
import { median, ratios } from '../support/statistics.ts';
import {
  clientDoubts,
  measureAll,
  perUnit,
  perUnitMain,
  startAll,
  type Variant,
} from '../support/variant.ts';
import type { Goal } from '../support/verdict.ts';

const STREAMS = 200;
const RAMP_MS = 400;
const PLAIN = 'plain (ws + fetch + eventsource-parser + JSON)';
const TUNED = 'tuned (undici dispatch + indexOf + corked ws)';
const FLOOR = 'floor (uWebSockets.js + raw socket in a worker)';
/** The first backend of millrace again, each stream a POST that is answered as Server-Sent Events. */
const HTTP = 'millrace over HTTP';
/** Less time than this taken by others before and after a window: latencies may be believed. */
const QUIET_SHARE = 0.02;

interface Level {
  readonly tokensPerSecond: number;
  readonly seconds: number;
}

interface Measured extends Load {
  readonly quiet: boolean;
}

function variantsFor(settings: Settings, upstream: string): Variant[] {
  const ours = millraceVariants(settings, '/v1/responses', {
    upstreams: [{ name: 'bench', url: upstream, maxConnections: 4096 }],
  });
  const http = ours.slice(0, 1).map((variant) => ({ ...variant, name: HTTP, load: { post: 1 } }));
  return [
    ...ours,
    ...http,
    { name: PLAIN, peer: 'relay-plain', settings: { upstream } },
    { name: TUNED, peer: 'relay-tuned', settings: { upstream } },
    { name: FLOOR, peer: 'relay-floor', settings: { upstream } },
  ];
}

function optionsFor(level: Level): Record<string, string | number> {
  const rate = level.tokensPerSecond / STREAMS;
  const warm = 0.6;
  const tokens = Math.ceil(rate * (RAMP_MS / 1000 + warm + level.seconds + 0.3));
  const request = {
    type: 'response.create',
    model: `r${rate}n${tokens}`,
    input: 'Tell me how a mill race works.',
    stream: true,
  };
  return {
    conns: STREAMS,
    request: JSON.stringify(request),
    tokens,
    rampms: RAMP_MS,
    warm,
    seconds: level.seconds,
  };
}

function describe(load: Load): string {
  const all = (load.cpuNs / 1000 / load.tokens).toFixed(1);
  const main = (load.mainNs / 1000 / load.tokens).toFixed(1);
  const rate = Math.round(load.tokens / load.seconds);
  return `${all} µs CPU/token (main ${main}), ${rate} tokens/s, p50 ${load.p50Us} µs, p99 ${load.p99Us} µs`;
}

/** The windows of one load level, with the quiet detector around each. */
async function runLevel(
  servers: readonly Server[],
  variants: readonly Variant[],
  level: Level,
  settings: Settings,
): Promise<Map<string, Measured[]>> {
  let before = await stolenShare();
  const quiet: Load[] = [];
  const loads = await measureAll(servers, variants, {
    mode: 'stream',
    options: optionsFor(level),
    rounds: settings.rounds,
    pin: settings.pin,
    progress: (text) => settings.progress(`${level.tokensPerSecond}/s, ${text}`),
    describe,
    async after(load) {
      const after = await stolenShare();
      if (before < QUIET_SHARE && after < QUIET_SHARE) quiet.push(load);
      before = after;
    },
  });
  return new Map(
    [...loads].map(([name, all]) => [
      name,
      all.map((load) => ({ ...load, quiet: quiet.includes(load) })),
    ]),
  );
}

/** Why a level proves nothing about a pair: one of them did not carry the load. */
function doubtOf(level: Level, ...sides: (readonly Load[] | undefined)[]): string | undefined {
  const late = sides
    .flatMap((side) => side ?? [])
    .filter((load) => {
      const carried = load.tokens / load.seconds;
      return Math.abs(carried / level.tokensPerSecond - 1) > 0.03 || load.p50Us > 50_000;
    });
  return late.length > 0 ? `${late.length} rounds did not carry the offered load` : undefined;
}

function goalsOf(level: Level, name: string, loads: ReadonlyMap<string, Load[]>): Goal[] {
  const own = loads.get(name);
  const compare = (peer: string, limit: number, main = false): Goal => {
    const ours = main ? perUnitMain(own, 'tokens') : perUnit(own, 'tokens');
    const doubt = doubtOf(level, own, loads.get(peer));
    return {
      what: `relay, ${level.tokensPerSecond} tokens/s: ${main ? 'main-thread ' : ''}CPU per token, ${name} / ${peer}`,
      sense: 'at most',
      limit,
      unit: 'x',
      values: ratios(ours, perUnit(loads.get(peer), 'tokens')),
      ...(doubt === undefined ? {} : { doubt }),
    };
  };
  // Of itself over the WebSocket: both need the same path but for the last hop's framing.
  if (name === HTTP) return [compare([...loads.keys()][0], 1.2)];
  if (name.includes('(ws)')) return [compare(PLAIN, 0.65)];
  const main = compare(PLAIN, 0.2, true);
  if (level.tokensPerSecond < 1000) return [compare(PLAIN, 0.4), main];
  return [compare(PLAIN, 0.4), main, compare(TUNED, 0.6), compare(FLOOR, 1.2)];
}

function readingsOf(level: Level, loads: ReadonlyMap<string, readonly Measured[]>): Reading[] {
  const at = `${level.tokensPerSecond} tokens/s`;
  return [...loads].flatMap(([name, all]) => {
    const quiet = all.filter((load) => load.quiet);
    const latency = (what: string, values: number[]): Reading[] =>
      values.length > 0 ? [{ what: `${at}, ${name}: ${what}`, unit: 'ms', values }] : [];
    return [
      {
        what: `${at}, ${name}: CPU per token, all threads`,
        unit: 'µs',
        values: perUnit(all, 'tokens'),
      },
      {
        what: `${at}, ${name}: CPU per token, main thread`,
        unit: 'µs',
        values: perUnitMain(all, 'tokens'),
      },
      ...latency(
        'due to client, p50, quiet windows',
        quiet.map((load) => load.p50Us / 1000),
      ),
      ...latency(
        'due to client, p99, quiet windows',
        quiet.map((load) => load.p99Us / 1000),
      ),
    ];
  });
}

function notesOf(level: Level, loads: ReadonlyMap<string, readonly Measured[]>): string[] {
  const at = `${level.tokensPerSecond} tokens/s`;
  const quiet = [...loads.values()].flat().filter((load) => load.quiet).length;
  const all = [...loads.values()].flat().length;
  const merged = [...loads].map(([name, own]) => {
    const perFrame = median(own.map((load) => load.tokens / load.messages));
    return `${name.split(' (')[0]} ${perFrame.toFixed(2)}`;
  });
  return [
    `${at}: ${quiet} of ${all} windows were quiet enough for latencies`,
    `${at}: tokens per frame: ${merged.join(', ')}`,
    ...clientDoubts(loads).map((note) => `${at}: ${note}`),
  ];
}

function levels(settings: Settings): Level[] {
  if (settings.quick) return [{ tokensPerSecond: 10_000, seconds: 0.5 }];
  return [
    { tokensPerSecond: 10_000, seconds: 1.5 },
    { tokensPerSecond: 20_000, seconds: 1.5 },
    // Last: at 200 tokens/s nobody's code would become warm by itself within a round.
    { tokensPerSecond: 200, seconds: 4 },
  ];
}

async function run(settings: Settings): Promise<Outcome> {
  const upstream = await startUpstream(settings.pin);
  const variants = variantsFor(settings, `http://127.0.0.1:${upstream.port}/v1`);
  const servers = await startAll(variants, settings.pin).catch(async (error: unknown) => {
    await upstream.child.end();
    throw error;
  });
  const goals: Goal[] = [];
  const readings: Reading[] = [];
  const notes: string[] = [];
  try {
    // Just-in-time compilation is not what is measured.
    await runLevel(
      servers,
      variants,
      { tokensPerSecond: 10_000, seconds: 0.5 },
      {
        ...settings,
        rounds: 1,
        progress: (text) => settings.progress(`warm-up, ${text}`),
      },
    );
    for (const level of levels(settings)) {
      const loads = await runLevel(servers, variants, level, settings);
      readings.push(...readingsOf(level, loads));
      notes.push(...notesOf(level, loads));
      for (const { name, peer } of variants) {
        if (peer === 'engine') goals.push(...goalsOf(level, name, loads));
      }
    }
    const { behindMaxUs } = await upstream.child.ask<{ behindMaxUs: number }>('figures');
    notes.push(`the upstream was at most ${(behindMaxUs / 1000).toFixed(1)} ms late`);
    return { readings, goals, notes };
  } finally {
    await Promise.all([...servers, upstream].map((server) => server.child.end()));
  }
}

export const relay: Bench = { name: 'relay', title: 'Relay: SSE upstream to WebSocket', run };
