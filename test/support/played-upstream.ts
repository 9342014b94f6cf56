/** Upstreams that play a random part: some answer in full, most break somewhere, reads split anywhere. */
import type { FakeExchange } from './fake-transport.ts';

const WORDS = [
  'plain ',
  'zwölf ',
  '„quoted“ ',
  'tab\t ',
  '\\slash "x" ',
  '🌊🌊 ',
  'line\n',
  'x'.repeat(300),
];

export type Chance = { next(): number };
export const below = (chance: Chance, n: number) => Math.floor(chance.next() * n);
export const pick = <T>(chance: Chance, from: readonly T[]): T => from[below(chance, from.length)];

/** One upstream's part: a list of steps, and the text they say if all are played. */
export class PlayedUpstream {
  readonly exchange: FakeExchange;
  readonly whole: string;
  readonly steps: (() => unknown)[];
  complete = false;

  constructor(exchange: FakeExchange, chance: Chance, at: number) {
    this.exchange = exchange;
    const words = [
      `${at}: `,
      ...Array.from({ length: below(chance, 40) }, () => pick(chance, WORDS)),
    ];
    this.whole = words.join('');
    const finish = event({ delta: {}, finish_reason: 'stop' });
    const said = words.map((content) => event({ delta: { content } }));
    const comment = ': keep-alive\n\n';
    const body = Buffer.from([comment, ...said, finish, 'data: [DONE]\n\n'].join(''));
    // Reads split events and code points anywhere.
    const reads = slices(body, chance).map((bytes) => () => this.#bytes(bytes));
    const opening = [() => exchange.sent(), () => exchange.head()];
    this.steps = [...opening, ...reads, () => exchange.end()];
    this.#breakIt(chance);
  }

  /** Two of three parts break somewhere. */
  #breakIt(chance: Chance): void {
    if (chance.next() < 0.33) {
      this.complete = true;
      return;
    }
    const at = below(chance, this.steps.length);
    const { exchange } = this;
    const breaks = [
      () => exchange.fail(),
      () => exchange.end(),
      () => exchange.bytes('\n\ndata: {"error":{"message":"made up","code":500}}\n\n'),
      // Silence: the clocks must notice.
      () => undefined,
    ];
    const last = at === 0 ? () => exchange.fail('MILLRACE_UPSTREAM_REFUSED') : pick(chance, breaks);
    const early = at <= 1 ? [...refusals(exchange), () => exchange.fail()] : [];
    const chosen = early.length > 0 && chance.next() < 0.5 ? pick(chance, early) : last;
    this.steps.splice(at, this.steps.length, chosen);
  }

  #bytes(bytes: Uint8Array): void {
    this.exchange.raw(bytes);
  }
}

function refusals(exchange: FakeExchange): (() => unknown)[] {
  return [
    () => exchange.sent().head(500).end(),
    () => exchange.sent().head(429, { 'retry-after': '1' }).end(),
    () => exchange.sent().head(503).bytes('busy').fail(),
  ];
}

const event = (choice: object) =>
  `data: ${JSON.stringify({ choices: [{ index: 0, ...choice }] })}\n\n`;

function slices(body: Buffer, chance: Chance): Buffer[] {
  const mean = pick(chance, [1, 7, 60, 400, 4000]);
  const out: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const length = 1 + below(chance, 2 * mean);
    out.push(body.subarray(at, at + length));
    at += length;
  }
  return out;
}

/** A die that falls the same for the same seed (mulberry32). */
export function dice(seed: number): Chance {
  let state = seed | 0;
  return {
    next: () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    },
  };
}
