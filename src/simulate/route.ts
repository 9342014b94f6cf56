/** A request for an answer: read in its voice, given what it is due, kept in the journal. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { asMillraceError, MillraceError } from '../errors.ts';
import { type Answer, answerFor } from './answer.ts';
import { type ChatRequest, promptOf } from './chat-request.ts';
import { directivesIn } from './directives.ts';
import { errorBody } from './error-body.ts';
import { type Faults, mergeFaults, parseFaults } from './faults.ts';
import type { Journal, JournalRow } from './journal.ts';
import { KeptAnswers } from './kept.ts';
import type { ResolvedOptions } from './options.ts';
import { Play } from './play.ts';
import { type ScriptOptions, type Step, streamSteps, wholeAnswerMs } from './script.ts';
import { type Headers, pieceSink, responseSink, type Sink } from './sink.ts';
import { flat, type SocketsParts } from './sockets/sockets.ts';
import type { Voice } from './voices/voice.ts';
import type { Wheel } from './wheel.ts';

interface Plan {
  readonly voice: Voice;
  readonly request: ChatRequest;
  readonly answer: Answer;
  readonly faults: Faults;
  readonly script: ScriptOptions;
  /** Under which name the answer is kept; undefined: it is not. */
  readonly keepAs: string | undefined;
}

export class AnswerRoute {
  readonly kept = new KeptAnswers();
  readonly #options: ResolvedOptions;
  readonly #journal: Journal;
  readonly #wheel: Wheel;
  readonly #running = new Set<JournalRow>();
  readonly #always: Faults;
  #set: Faults | undefined;
  #setRequests = 0;

  constructor(options: ResolvedOptions, journal: Journal, wheel: Wheel) {
    this.#options = options;
    this.#journal = journal;
    this.#wheel = wheel;
    this.#always = options.faults;
  }

  get streams(): number {
    return this.#running.size;
  }

  setFaults(faults: Faults | undefined, requests = Number.POSITIVE_INFINITY): void {
    this.#set = faults;
    this.#setRequests = requests;
  }

  /** What still runs is marked as stopped: the sockets go next. */
  close(): void {
    for (const row of this.#running) row.ending = 'stopped';
    this.kept.close();
  }

  accept(voice: Voice, request: IncomingMessage, response: ServerResponse): void {
    const parts: Buffer[] = [];
    let bytes = 0;
    request.on('data', (part: Buffer) => {
      bytes += part.length;
      if (bytes <= this.#options.bodyBytesMax) parts.push(part);
    });
    request.on('end', () => {
      const fits = bytes <= this.#options.bodyBytesMax;
      const body = fits ? Buffer.concat(parts).toString() : undefined;
      this.#answer(voice, flat(request), body, (faults) => this.#httpSink(response, faults));
    });
  }

  /** What WebSockets need of it. */
  sockets(): SocketsParts {
    const { name } = this.#options;
    return {
      answer: (voice, headers, body, sinkOf) => this.#answer(voice, headers, body, sinkOf),
      faultsOf: (asked) => mergeFaults(name, this.#always, this.#set, asked),
      open: (headers) => this.#journal.open(name, headers, '', this.#wheel.now()),
      now: () => this.#wheel.now(),
    };
  }

  /** What it will say; undefined: it refuses, or says nothing. */
  #answer(
    voice: Voice,
    headers: Headers,
    body: string | undefined,
    sinkOf: (faults: Faults) => Sink,
  ): Answer | undefined {
    const row = this.#journal.open(this.#options.name, headers, body ?? '', this.#wheel.now());
    let faults: Faults = {};
    try {
      if (body === undefined) {
        const { bodyBytesMax: max } = this.#options;
        throw new MillraceError('MILLRACE_MESSAGE_TOO_LARGE', { max });
      }
      if (this.#running.size >= this.#options.streamsMax)
        throw new MillraceError('MILLRACE_OVERLOADED', { bound: 'streamsMax', waitMs: 1_000 });
      const plan = this.#plan(voice, row, headers, body);
      ({ faults } = plan);
      const sink = this.#watched(sinkOf(faults), row);
      if (this.#failsBefore(sink, row, faults)) return undefined;
      this.#begin(sink, row, plan);
      return plan.answer;
    } catch (thrown) {
      const error = asMillraceError(thrown);
      const sink = this.#watched(sinkOf(faults), row);
      refuse(sink, row, error.failure.status, {}, JSON.stringify(errorBody(error)));
      return undefined;
    }
  }

  #plan(voice: Voice, row: JournalRow, headers: Headers, body: string): Plan {
    const { name, seed, meanTokens, models, tokensPerSecond, firstTokenMs, jitter } = this.#options;
    const request = voice.parse(body);
    row.request = request;
    const wish = directivesIn(promptOf(request), name);
    const header = headers['x-simulate'];
    const asked = header === undefined ? undefined : parseFaults(header);
    const faults = mergeFaults(name, this.#always, this.#due(), asked, wish.faults);
    row.faults = faults;
    if (!models.includes(request.model)) {
      const details = { model: request.model, available: models.join(', ') };
      throw new MillraceError('MILLRACE_MODEL_NOT_FOUND', details);
    }
    const { number } = row;
    const answer = answerFor(request, wish, { seed, number, meanTokens });
    return {
      voice,
      request,
      answer,
      keepAs: keepAs(voice, headers, body, answer),
      faults,
      script: {
        model: request.model,
        createdS: Math.floor(Date.now() / 1000),
        includeUsage: request.includeUsage,
        seed,
        number,
        tokensPerSecond,
        firstTokenMs,
        jitter,
      },
    };
  }

  /** The faults that were set for the next requests, once more. */
  #due(): Faults | undefined {
    if (this.#setRequests <= 0) return undefined;
    this.#setRequests -= 1;
    return this.#set;
  }

  #httpSink(response: ServerResponse, { split }: Faults): Sink {
    const { socket } = response;
    return split && socket
      ? pieceSink(socket, split, this.#wheel)
      : responseSink(response, this.#wheel);
  }

  #watched(sink: Sink, row: JournalRow): Sink {
    this.#running.add(row);
    sink.onGone(() => {
      this.#running.delete(row);
      if (row.ending !== 'running') return;
      row.ending = 'client-closed';
      row.endedMs = this.#wheel.now();
    });
    return sink;
  }

  /** True: the request ends (or waits for ever) without an answer. */
  #failsBefore(sink: Sink, row: JournalRow, faults: Faults): boolean {
    if (faults['stall-headers'] === 0) return true;
    const end = (how: () => void) => {
      row.ending = 'fault';
      row.endedMs = this.#wheel.now();
      how();
      return true;
    };
    if (faults['reset-before-headers']) return end(() => sink.reset());
    if (faults['end-before-headers']) return end(() => sink.cut());
    if (faults.status === undefined) return false;
    refuse(sink, row, faults.status, retryHeaders(faults), failureBody(faults), faults.html);
    return true;
  }

  #begin(sink: Sink, row: JournalRow, plan: Plan): void {
    const { faults } = plan;
    row.status = 200;
    const headers: Record<string, string> = {
      'content-type': contentTypeOf(plan),
      'cache-control': 'no-cache',
      ...(faults['content-type'] !== undefined && { 'content-type': faults['content-type'] }),
      ...(faults.close && { connection: 'close' }),
    };
    const steps = stepsOf(plan);
    const start = () => {
      sink.head(200, headers);
      this.#keep(plan, row);
      const play = new Play(steps, sink, row, this.#wheel);
      sink.onGone(() => play.stop());
    };
    const waitMs = faults['stall-headers'];
    if (waitMs === undefined) return start();
    const cancel = this.#wheel.at(this.#wheel.now() + waitMs, { run: start });
    sink.onGone(cancel);
  }

  /** The answer as it is without what breaks the connection: it goes on, whoever reads. */
  #keep({ keepAs, faults, ...plan }: Plan, row: JournalRow): void {
    const kept = keepAs !== undefined && plan.request.stream ? this.kept.open(keepAs) : undefined;
    if (!kept) return;
    const {
      'reset-after': _,
      'cut-after': __,
      'end-after': ___,
      'stall-after': ____,
      ...rest
    } = faults;
    const steps = stepsOf({ ...plan, keepAs, faults: rest });
    kept.play = new Play(steps, kept, { ...row }, this.#wheel);
  }
}

function keepAs(
  { name }: Voice,
  headers: Headers,
  body: string,
  { id }: Answer,
): string | undefined {
  if (name === 'openai-responses')
    return (JSON.parse(body) as { background?: unknown }).background === true ? id : undefined;
  return name === 'openai-chat' ? headers['x-conversation-id'] : undefined;
}

function contentTypeOf({ voice, request }: Plan): string {
  if (!request.stream) return 'application/json';
  return voice.framing === 'lines' ? 'application/x-ndjson' : 'text/event-stream; charset=utf-8';
}

function stepsOf({ voice, answer, faults, request, script }: Plan): Iterator<Step> {
  if (faults.empty) return [{ waitMs: 0, bytes: '', tokens: 0, finale: 'short' as const }].values();
  if (request.stream) return streamSteps(voice, answer, script, faults);
  const waitMs = wholeAnswerMs(answer, script, faults);
  const bytes = voice.whole(answer, script);
  const tokens = answer.completionTokens;
  return [{ waitMs, bytes, tokens, finale: 'end' as const }].values();
}

function refuse(
  sink: Sink,
  row: JournalRow,
  status: number,
  headers: Headers,
  body: string,
  html = false,
): void {
  row.status = status;
  row.ending = 'refused';
  row.endedMs = performance.now();
  sink.head(status, { 'content-type': html ? 'text/html' : 'application/json', ...headers });
  sink.write(body);
  sink.end();
}

function retryHeaders(faults: Faults): Headers {
  const after = faults['retry-after'];
  const afterMs = faults['retry-after-ms'];
  return {
    ...(after !== undefined && { 'retry-after': after }),
    ...(afterMs !== undefined && { 'retry-after-ms': afterMs }),
  };
}

function failureBody(faults: Faults): string {
  const { status = 500 } = faults;
  if (faults.html) return `<html><body><h1>${status}</h1><p>simulated</p></body></html>`;
  const limited = status === 429;
  const type = limited
    ? 'rate_limit_error'
    : status < 500
      ? 'invalid_request_error'
      : 'server_error';
  const code = faults['error-code'] ?? (limited ? 'rate_limit_exceeded' : null);
  const message = `[simulated] status ${status}, as asked for`;
  return JSON.stringify({ error: { message, type, param: null, code } });
}
