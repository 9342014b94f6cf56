/** Upstreams of the swarm: each exchange is a server with a mind, a speed and a protocol of its own, played on the simulated clock. */
import type { UpstreamOptions } from '../../src/options/schema.ts';
import { type Framing, framingOf } from '../../src/simulate/framing.ts';
import { voices } from '../../src/simulate/voices/voices.ts';
import type { FakeExchange } from './fake-transport.ts';
import { below, type Chance, pick } from './played-upstream.ts';
import type { SimulatedWorld } from './simulated-world.ts';

/** What may go wrong at an upstream; a seed's swarm has some of them. */
export const upstreamFaults = [
  'refused',
  'never connects',
  'reset',
  'clean end',
  'silence',
  'half-open',
  'limited',
  'server error',
  'busy then reset',
  'rejected',
  'page',
  'malformed',
  'in-band error',
  'oversize',
  'after the end',
] as const;
export type UpstreamFault = (typeof upstreamFaults)[number];

const WORDS = [
  'plain ',
  'zwölf ',
  '„quoted“ ',
  'tab\t ',
  '\\slash "x" ',
  '🌊🌊 ',
  'line\n',
  'x'.repeat(700),
];

export interface Manners {
  readonly faults: readonly UpstreamFault[];
  /** Share of the exchanges that fail somehow. */
  readonly failing: number;
  /** Mean wait before each of its steps. */
  readonly meanMs: number;
  /** Mean bytes of a read. */
  readonly sliceBytes: readonly number[];
}

type Step = () => unknown;

/** One exchange, from its beginning to whatever end. It names itself in what it says, so that a client's text shows whose it is. */
export class SwarmUpstream {
  readonly exchange: FakeExchange;
  readonly text: string;
  readonly reasoning: string;
  readonly args: string;
  /** undefined: it answers in full. */
  readonly fault: UpstreamFault | undefined;
  readonly #world: SimulatedWorld;
  readonly #chance: Chance;
  readonly #meanMs: number;
  readonly #steps: Step[];
  /** Bytes of its body that came, and where its last content ends. */
  #came = 0;
  readonly #contentBytes: number;

  constructor(
    exchange: FakeExchange,
    at: number,
    provider: UpstreamOptions['provider'],
    manners: Manners,
    world: SimulatedWorld,
    chance: Chance,
  ) {
    this.exchange = exchange;
    this.#world = world;
    this.#chance = chance;
    this.#meanMs = manners.meanMs;
    const some = (most: number) =>
      Array.from({ length: below(chance, most) }, () => pick(chance, WORDS));
    const content = [`${at}: `, ...some(24)];
    const reasoning = chance.next() < 0.3 ? [`${at}? `, ...some(6)] : [];
    const fragments = chance.next() < 0.2 ? [`{"at":"${at}! `, ...some(4).map(escape), '"}'] : [];
    this.text = content.join('');
    this.reasoning = reasoning.join('');
    this.args = fragments.join('');
    const { whole, contentBytes, broken, failure, oversize } = bodyOf(
      provider,
      at,
      content,
      reasoning,
      fragments,
    );
    this.#contentBytes = contentBytes;
    this.fault =
      chance.next() < manners.failing && manners.faults.length > 0
        ? pick(chance, manners.faults)
        : undefined;
    const mean = pick(chance, manners.sliceBytes);
    const reads = (body: Buffer): Step[] =>
      slices(body, mean, chance).map((bytes) => () => {
        this.#came += bytes.length;
        return exchange.raw(bytes);
      });
    const cut = () => whole.subarray(0, below(chance, whole.length));
    const opening: Step[] = [() => exchange.sent(), () => exchange.head()];
    const refusal = (status: number, headers: Record<string, string>, end: Step): Step[] => [
      () => exchange.sent(),
      () => exchange.head(status, headers),
      () => exchange.bytes('{"error":{"message":"made up"}}'),
      end,
    ];
    const end: Step = () => exchange.end();
    const reset: Step = () => exchange.fail();
    const plays: Readonly<Record<UpstreamFault, () => Step[]>> = {
      refused: () => [() => exchange.fail('MILLRACE_UPSTREAM_REFUSED')],
      'never connects': () => [],
      reset: () => {
        const said = [...opening, ...reads(cut())];
        return [...said.slice(0, below(chance, said.length + 1)), reset];
      },
      'clean end': () => [...opening, ...reads(cut()), end],
      silence: () => [...opening, ...reads(cut())],
      'half-open': () => [() => exchange.sent()],
      limited: () => refusal(429, chance.next() < 0.5 ? { 'retry-after': '1' } : {}, end),
      'server error': () => refusal(pick(chance, [500, 502, 503, 529]), {}, end),
      'busy then reset': () => refusal(503, {}, reset),
      rejected: () => refusal(400, {}, end),
      page: () => refusal(200, { 'content-type': 'text/html' }, end),
      malformed: () => [...opening, ...reads(Buffer.concat([wholeEvents(cut()), broken])), end],
      'in-band error': () => [
        ...opening,
        ...reads(Buffer.concat([wholeEvents(cut()), failure])),
        end,
      ],
      oversize: () => [...opening, ...reads(wholeEvents(cut())), () => exchange.raw(oversize), end],
      'after the end': () => [
        ...opening,
        ...reads(whole),
        () => exchange.bytes('data: {"more":1}\n\n'),
        end,
      ],
    };
    this.#steps = this.fault ? plays[this.fault]() : [...opening, ...reads(whole), end];
    this.#next();
  }

  /** Its stream must still hold a place: not all of its content has come. */
  get running(): boolean {
    return this.exchange.live && this.#came < this.#contentBytes;
  }

  #next(): void {
    if (!this.exchange.live || this.#steps.length === 0) return;
    const chance = this.#chance;
    const isSoon = chance.next() < 0.4;
    const waitMs = isSoon ? 0 : -Math.log(1 - chance.next()) * this.#meanMs;
    this.#world.ticker.after(Math.min(waitMs, 3_000), () => {
      if (!this.exchange.live) return;
      this.#steps.shift()?.();
      this.#next();
    });
  }
}

const escape = (text: string) => JSON.stringify(text).slice(1, -1);

interface Body {
  readonly whole: Buffer;
  /** Up to its finish reason. */
  readonly contentBytes: number;
  readonly broken: Buffer;
  readonly failure: Buffer;
  readonly oversize: Buffer;
}

const pathOf: Readonly<Record<string, string>> = {
  'openai-chat': '/v1/chat/completions',
  'openai-responses': '/v1/responses',
  anthropic: '/v1/messages',
  ollama: '/api/chat',
};

function bodyOf(
  provider: string,
  at: number,
  content: readonly string[],
  reasoning: readonly string[],
  fragments: readonly string[],
): Body {
  const voice = voices.find(({ path }) => path === pathOf[provider]);
  if (!voice) throw new Error(`no voice for ${provider}`);
  const framing: Framing = framingOf(voice, {});
  const called = fragments.length > 0;
  const answer = {
    id: `answer-${at}`,
    reasoning,
    content,
    refusal: [],
    calls: called ? [{ id: `call-${at}`, name: 'look', fragments }] : [],
    finish: called ? 'tool_calls' : 'stop',
    promptTokens: 3,
    completionTokens: content.length,
    reasoningTokens: reasoning.length,
  };
  const speaker = voice.speak(
    answer,
    { model: 'demo', createdS: 1_790_000_000, includeUsage: true },
    {},
  );
  const framed = (events: Iterable<{ readonly json: string; readonly name?: string }>) =>
    [...events].map((event) => framing.event(event)).join('');
  const tokens = [...speaker.tokens()].flat();
  const said = framed(speaker.opening()) + framed(tokens);
  const whole = [said, framed(speaker.finish()), framed(speaker.after()), framing.done].join('');
  return {
    whole: Buffer.from(whole),
    contentBytes: Buffer.byteLength(said),
    broken: Buffer.from(framing.broken),
    failure: Buffer.from(framed(speaker.failure('server_error', 'made up'))),
    oversize: Buffer.from(framed(speaker.text(JSON.stringify('y'.repeat(40_000))))),
  };
}

/** Up to the end of the last event or line. */
function wholeEvents(bytes: Buffer): Buffer {
  const at = bytes.includes('data:') ? bytes.lastIndexOf('\n\n') + 2 : bytes.lastIndexOf('\n') + 1;
  return bytes.subarray(0, at < 2 ? 0 : at);
}

function slices(body: Buffer, mean: number, chance: Chance): Buffer[] {
  const out: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const length = 1 + below(chance, 2 * mean);
    out.push(body.subarray(at, at + length));
    at += length;
  }
  return out;
}
