/**
 * OpenAI's Responses API over a WebSocket, as the default lane of the real one: texts of `response.create` are answered one after the other, each event a text. What a
 * socket's responses can be continued from lies in the socket alone: the last one, and those with `store`, a bounded number.
 */
import { asMillraceError, MillraceError } from '../../errors.ts';
import type { Answer } from '../answer.ts';
import { type Fields, isObject, parseBody, wrong } from '../chat-request.ts';
import { errorBody } from '../error-body.ts';
import type { Faults } from '../faults.ts';
import type { Headers, Sink } from '../sink.ts';
import { outputItems, responses } from '../voices/responses.ts';
import type { Voice } from '../voices/voice.ts';
import { EventSink } from './event-sink.ts';
import type { Line } from './line.ts';

const QUEUED_MAX = 64;
const STORED_MAX = 64;

/** The same events, a text each. */
const voice: Voice = { ...responses, framing: 'lines' };

/** Answers a request into what `sinkOf` makes; `said` hears what the answer will be, unless it is refused. */
export type AnswerOver = (
  voice: Voice,
  headers: Headers,
  body: string,
  sinkOf: (faults: Faults) => Sink,
) => Answer | undefined;

const silence: Omit<Answer, 'id'> = {
  reasoning: [],
  content: [],
  refusal: [],
  calls: [],
  finish: 'stop',
  promptTokens: 0,
  completionTokens: 0,
  reasoningTokens: 0,
};

interface Past {
  readonly items: readonly unknown[];
  readonly store: boolean;
}

export class ResponseSession {
  readonly #line: Line;
  readonly #headers: Headers;
  readonly #answer: AnswerOver;
  readonly #past = new Map<string, Past>();
  #latest: string | undefined;
  readonly #queue: Fields[] = [];
  #isBusy = false;
  #warmUps = 0;

  constructor(line: Line, headers: Headers, answer: AnswerOver) {
    this.#line = line;
    this.#headers = headers;
    this.#answer = answer;
  }

  message(bytes: Buffer, binary: boolean): void {
    try {
      const event = parseBody(binary ? '' : bytes.toString());
      if (event['type'] !== 'response.create')
        throw wrong('type', 'response.create', event['type']);
      const { input } = event;
      if (input !== undefined && typeof input !== 'string' && !Array.isArray(input))
        throw wrong('input', 'a text or a list', input);
      if (this.#queue.length >= QUEUED_MAX)
        throw new MillraceError('MILLRACE_QUEUE_FULL', { max: QUEUED_MAX });
      this.#queue.push(event);
      this.#next();
    } catch (thrown) {
      const error = asMillraceError(thrown);
      this.#refuse(error.failure.status, errorBody(error));
    }
  }

  #next(): void {
    while (!this.#isBusy) {
      const event = this.#queue.shift();
      if (!event) return;
      this.#isBusy = true;
      this.#create(event);
    }
  }

  #create({ previous_response_id: previous, ...asked }: Fields): void {
    const { type: _, background: __, ...create } = asked;
    const before = typeof previous === 'string' ? this.#past.get(previous) : undefined;
    if (typeof previous === 'string' && !before) {
      const message = `Previous response with id '${previous}' not found.`;
      const code = 'previous_response_not_found';
      const param = 'previous_response_id';
      this.#refuse(400, { error: { type: 'invalid_request_error', code, message, param } });
      return this.#over();
    }
    const items = [...(before?.items ?? []), ...itemsOf(create['input'])];
    if (create['generate'] === false) return this.#warmUp(create, items);
    // The journal tells by the id that not all of it was sent.
    const continued = before && { previous_response_id: previous };
    const body = JSON.stringify({ ...create, ...continued, input: items, stream: true });
    let sink: EventSink | undefined;
    const sinkOf = (faults: Faults): Sink => {
      sink = new EventSink(this.#line, faults);
      sink.onGone(() => this.#over());
      return sink;
    };
    const answer = this.#answer(voice, this.#headers, body, sinkOf);
    if (answer) this.#remember(answer, items, create['store'] !== false);
    // A failed continuation takes what it continued with it, unless that was to be stored.
    else if (before?.store === false) this.#past.delete(String(previous));
  }

  /** An id to continue from, without an answer. */
  #warmUp({ model, store }: Fields, items: readonly unknown[]): void {
    const id = `resp_simulated_warm_${this.#warmUps++}`;
    const options = { model: String(model), createdS: Math.floor(Date.now() / 1000) };
    const answer = { ...silence, id };
    const speaker = responses.speak(answer, { ...options, includeUsage: true }, {});
    for (const { json } of [...speaker.opening(), ...speaker.finish()])
      this.#line.say(Buffer.from(json), false);
    this.#remember(answer, items, store !== false);
    this.#over();
  }

  #over(): void {
    this.#isBusy = false;
    queueMicrotask(() => this.#next());
  }

  #remember(answer: Answer, items: readonly unknown[], store: boolean): void {
    const latest = this.#latest === undefined ? undefined : this.#past.get(this.#latest);
    if (latest?.store === false) this.#past.delete(this.#latest as string);
    const output = outputItems(answer).filter(
      (item) => isObject(item) && item['type'] !== 'reasoning',
    );
    this.#past.set(answer.id, { items: [...items, ...output], store });
    this.#latest = answer.id;
    if (this.#past.size <= STORED_MAX) return;
    for (const oldest of this.#past.keys()) return void this.#past.delete(oldest);
  }

  #refuse(status: number, body: object): void {
    this.#line.say(Buffer.from(JSON.stringify({ type: 'error', status, ...body })), false);
  }
}

function itemsOf(input: unknown): unknown[] {
  if (Array.isArray(input)) return input;
  return input === undefined ? [] : [{ role: 'user', content: input }];
}
