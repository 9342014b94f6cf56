/**
 * Echo of 64-byte text messages over 100 connections: what a message costs the whole server, against the floor (raw
 * uWebSockets.js) and against `ws`, plain and corked.
 */
import type { Bench, Outcome, Settings } from '../support/bench.ts';
import type { Load, Server } from '../support/children.ts';
import { millraceVariants } from '../support/millrace.ts';
import { ratios } from '../support/statistics.ts';
import { clientDoubts, measureAll, perUnit, startAll, type Variant } from '../support/variant.ts';
import type { Goal } from '../support/verdict.ts';

const RAW: Variant = { name: 'raw uWebSockets.js', peer: 'echo-uws', settings: {} };
const WS: Variant = { name: 'ws', peer: 'echo-ws', settings: {} };
const CORKED: Variant = { name: 'ws, corked', peer: 'echo-ws', settings: { cork: true } };

function describe(load: Load): string {
  const perMessage = (load.cpuNs / 1000 / load.messages).toFixed(2);
  const perSecond = Math.round(load.messages / load.seconds / 1000);
  return `${perMessage} µs CPU/message, ${perSecond} k/s, p50 ${load.p50Us} µs, p99 ${load.p99Us} µs`;
}

function series(
  servers: readonly Server[],
  variants: readonly Variant[],
  outstanding: number,
  settings: Settings,
): Promise<Map<string, Load[]>> {
  return measureAll(servers, variants, {
    mode: 'echo',
    options: {
      conns: 100,
      outstanding,
      bytes: 64,
      warm: settings.quick ? 0.1 : 0.3,
      seconds: settings.quick ? 0.3 : 1.2,
    },
    rounds: settings.rounds,
    pin: settings.pin,
    progress: (text) => settings.progress(`${outstanding} outstanding, ${text}`),
    describe,
  });
}

function against(
  loads: ReadonlyMap<string, readonly Load[]>,
  ours: string,
  peer: Variant,
  limit: number,
  outstanding: number,
): Goal {
  return {
    what: `echo, ${outstanding} outstanding: CPU per message, ${ours} / ${peer.name}`,
    sense: 'at most',
    limit,
    unit: 'x',
    values: ratios(perUnit(loads.get(ours), 'messages'), perUnit(loads.get(peer.name), 'messages')),
  };
}

function readings(loads: ReadonlyMap<string, readonly Load[]>, outstanding: number) {
  return [...loads].flatMap(([name, all]) => [
    {
      what: `${name}, ${outstanding} outstanding: CPU per message`,
      unit: 'µs',
      values: perUnit(all, 'messages'),
    },
    {
      what: `${name}, ${outstanding} outstanding: messages per second`,
      unit: '1/s',
      values: all.map((load) => load.messages / load.seconds),
    },
  ]);
}

async function run(settings: Settings): Promise<Outcome> {
  const ours = millraceVariants(settings, '/ws');
  const variants = [RAW, ...ours, WS, CORKED];
  const servers = await startAll(variants, settings.pin);
  try {
    // Just-in-time compilation is not what is measured.
    for (const outstanding of [1, 32]) {
      await series(servers, variants, outstanding, {
        ...settings,
        rounds: 1,
        progress: (text) => settings.progress(`warm-up, ${text}`),
      });
    }
    const single = await series(servers, variants, 1, settings);
    const many = await series(servers, variants, 32, settings);
    const goals: Goal[] = [];
    for (const { name } of ours.filter((variant) => variant.name.includes('uws'))) {
      goals.push(
        against(single, name, RAW, 1.1, 1),
        against(single, name, WS, 0.7, 1),
        against(many, name, RAW, 1.4, 32),
        against(many, name, WS, 0.25, 32),
        against(many, name, CORKED, 0.9, 32),
      );
    }
    const notes = [
      ...clientDoubts(single).map((note) => `1 outstanding: ${note}`),
      ...clientDoubts(many).map((note) => `32 outstanding: ${note}`),
    ];
    for (const { name } of ours.filter((variant) => variant.name.includes('(ws)'))) {
      const toWs = against(single, name, WS, 1, 1).values.map((value) => value.toFixed(2));
      notes.push(`${name} / ws, 1 outstanding, by round: ${toWs.join(' ')} (no goal)`);
    }
    return { readings: [...readings(single, 1), ...readings(many, 32)], goals, notes };
  } finally {
    await Promise.all(servers.map((server) => server.child.end()));
  }
}

export const echo: Bench = { name: 'echo', title: 'Echo on the main thread', run };

/** The method against itself: the same server twice must read 1. */
async function runNull(settings: Settings): Promise<Outcome> {
  const variants = ['A', 'A again'].map((name) => ({ ...RAW, name: `${RAW.name} (${name})` }));
  const servers = await startAll(variants, settings.pin);
  const [a, b] = variants.map((variant) => variant.name) as [string, string];
  try {
    const goals: Goal[] = [];
    const all = [];
    for (const outstanding of [1, 32]) {
      const loads = await series(servers, variants, outstanding, {
        ...settings,
        rounds: Math.max(settings.rounds, settings.quick ? 2 : 8),
      });
      all.push(...readings(loads, outstanding));
      goals.push({
        what: `null test, ${outstanding} outstanding: the same server against itself`,
        sense: 'within',
        limit: 1,
        tolerance: 0.03,
        unit: 'x',
        values: ratios(perUnit(loads.get(b), 'messages'), perUnit(loads.get(a), 'messages')),
      });
    }
    return { readings: all, goals, notes: [] };
  } finally {
    await Promise.all(servers.map((server) => server.child.end()));
  }
}

export const nothing: Bench = { name: 'null', title: 'Null test: A against A', run: runNull };
