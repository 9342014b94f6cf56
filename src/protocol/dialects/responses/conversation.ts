/** One session of the Responses API's WebSocket mode: its lanes, and what its responses can be continued from. */
import { MillraceError } from '../../../errors.ts';
import type {
  ClientMessage,
  Command,
  Conversation,
  DialectBounds,
  FrameSink,
  ModelList,
  Opening,
  Turn,
} from '../../dialect.ts';
import { formatId } from '../../ids.ts';
import type { Message } from '../../request.ts';
import { describe, type Fields, slice } from '../fields.ts';
import { readMessage } from '../read-message.ts';
import { eventIgnored, injectFailed, steeringFailed } from './client-events.ts';
import { type CreateRequest, readCreate } from './create.ts';
import { type EncoderEnd, ResponsesEncoder } from './encoder.ts';
import { errorFrame } from './error-frame.ts';
import { History, type PastTurn } from './history.ts';
import type { ResponseFacts } from './response-object.ts';

/** Of a client's own id, said back to it. */
const ID_CHARS_MAX = 128;

interface Detail {
  readonly request: CreateRequest;
  readonly createdAt: number;
}

export class ResponsesConversation implements Conversation {
  readonly #bounds: DialectBounds;
  readonly #models: ModelList;
  /** Both come with the first use: most sessions of a busy server are idle. */
  #history: History | undefined;
  #lanes: Set<string> | undefined;

  constructor(bounds: DialectBounds, models: ModelList) {
    this.#bounds = bounds;
    this.#models = models;
  }

  get heldBytes(): number {
    return this.#history?.heldBytes ?? 0;
  }

  decode(message: ClientMessage): Command {
    let lane = '';
    try {
      const event = readMessage(message);
      lane = laneOf(event);
      const type = event.text('type');
      if (type === 'response.create') return this.#create(event, lane, message);
      if (type === 'response.cancel') return cancel(event, lane);
      if (type === 'response.steer') return reply(steeringFailed(event, message.seed));
      if (type === 'response.inject') return reply(injectFailed(event));
      return reply(eventIgnored(type, lane));
    } catch (thrown) {
      if (!(thrown instanceof MillraceError)) throw thrown;
      return refused(thrown, lane);
    }
  }

  begin(turn: Turn, out: FrameSink): Opening {
    const { request, createdAt } = turn.detail as Detail;
    const before =
      request.previousId === undefined ? undefined : this.#history?.find(request.previousId);
    const past = History.messages(before);
    const error = this.#uncontinued(request, before, past);
    if (error !== undefined) {
      if (before !== undefined) this.#history?.evict(before);
      return { kind: 'answer', frames: [errorFrame(error, turn.lane)] };
    }
    const facts: ResponseFacts = {
      id: turn.responseId,
      createdAt,
      lane: turn.lane,
      stream: turn.lane === '' ? '' : `"stream_id":"${turn.lane}",`,
      echo: request.echo,
      ...(turn.headers && { headers: turn.headers }),
    };
    const end = this.#end(turn, request, before);
    if (!request.generate) return { kind: 'answer', frames: this.#warmUp(facts, end) };
    const encoder = new ResponsesEncoder(facts, this.#bounds, out, end);
    encoder.open();
    const messages = [...instructed(request.instructions), ...past, ...request.input];
    const { previousId } = request;
    const continued = previousId === undefined ? {} : { previousId };
    return { kind: 'run', request: { ...request.settings, ...continued, messages }, encoder };
  }

  refuse(turn: Turn, error: MillraceError): Uint8Array {
    return errorFrame(error, turn.lane, turn.headers);
  }

  #create(event: Fields, lane: string, message: ClientMessage): Command {
    const request = readCreate(event, this.#models);
    if (lane !== '') this.#name(lane);
    const detail: Detail = { request, createdAt: Math.floor(message.arrivedMs / 1000) };
    const responseId = formatId('resp_', message.seed);
    const { trace, settings } = request;
    const turn = { lane, model: settings.model, responseId, detail, ...(trace && { trace }) };
    return { kind: 'turn', turn };
  }

  /** Lanes are counted over the session's whole life: an ended one still has what can be continued. */
  #name(lane: string): void {
    this.#lanes ??= new Set();
    if (this.#lanes.has(lane)) return;
    const max = this.#bounds.lanesMax;
    if (this.#lanes.size >= max) throw new MillraceError('MILLRACE_LANES_EXHAUSTED', { max });
    this.#lanes.add(lane);
  }

  /** Why a turn cannot begin: what it continues is unknown, or it answers calls that nobody made. */
  #uncontinued(
    request: CreateRequest,
    before: PastTurn | undefined,
    past: readonly Message[],
  ): MillraceError | undefined {
    if (request.previousId !== undefined && before === undefined)
      return new MillraceError('MILLRACE_PREVIOUS_NOT_FOUND', {
        id: slice(request.previousId, ID_CHARS_MAX),
      });
    return unmatchedOutput(past, request.input);
  }

  /** Of the request it holds no more than what is remembered. */
  #end(
    { lane, responseId: id }: Turn,
    { input, store }: CreateRequest,
    before: PastTurn | undefined,
  ): EncoderEnd {
    return {
      remember: (output) => {
        const messages = output === undefined ? input : [...input, output];
        this.#history ??= new History(this.#bounds.historyBytesMax);
        this.#history.remember(lane, { id, before, messages, store });
      },
      failed: () => {
        if (before !== undefined) this.#history?.evict(before);
      },
    };
  }

  /** `generate: false`: an id to continue from, without asking a model. */
  #warmUp(facts: ResponseFacts, end: EncoderEnd): Uint8Array[] {
    const frames: Uint8Array[] = [];
    const encoder = new ResponsesEncoder(
      facts,
      this.#bounds,
      { frame: (bytes, length) => frames.push(new Uint8Array(bytes.subarray(0, length))) },
      end,
    );
    encoder.open();
    encoder.usage({ inputTokens: 0, cachedTokens: 0, outputTokens: 0, reasoningTokens: 0 });
    encoder.finish('stop');
    return frames;
  }
}

function laneOf(event: Fields): string {
  const inner = event.raw('response');
  const nested =
    typeof inner === 'object' && !event.has('stream_id') ? event.object('response') : undefined;
  const lane = (nested ?? event).raw('stream_id');
  if (lane === undefined) return '';
  if (typeof lane === 'string' && /^[A-Za-z0-9_.-]{1,256}$/.test(lane)) return lane;
  throw new MillraceError('MILLRACE_LANE_INVALID', {});
}

function cancel(event: Fields, lane: string): Command {
  const responseId = event.string('response_id');
  const unmatched = errorFrame(new MillraceError('MILLRACE_RESPONSE_NOT_FOUND', {}), lane);
  return responseId === undefined
    ? { kind: 'cancel', lane, unmatched }
    : { kind: 'cancel', responseId, unmatched };
}

function reply(frame: Uint8Array): Command {
  return { kind: 'reply', frames: [frame] };
}

/** An error ends the session only where its table row says so. */
function refused(error: MillraceError, lane: string): Command {
  const frames = [errorFrame(error, lane)];
  const code = error.failure.close;
  return code === undefined
    ? { kind: 'reply', frames }
    : { kind: 'close', code, reason: error.message, frames };
}

export function instructed(instructions: string | undefined): Message[] {
  return instructions ? [{ role: 'system', content: [{ type: 'text', text: instructions }] }] : [];
}

/** An output without its call would be refused by any provider, later and less clearly. `path`: where the messages stand. */
export function unmatchedOutput(
  past: readonly Message[],
  input: readonly Message[],
  path = 'input',
): MillraceError | undefined {
  if (!input.some((message) => message.role === 'tool')) return undefined;
  const calls = new Set<string>();
  for (const message of [...past, ...input]) {
    if (message.role === 'assistant')
      for (const call of message.toolCalls ?? []) calls.add(call.id);
    else if (message.role === 'tool' && !calls.has(message.callId))
      return new MillraceError('MILLRACE_FIELD_INVALID', {
        path,
        expected: 'outputs of calls that were made',
        got: `an output for call_id ${describe(message.callId)}`,
      });
  }
  return undefined;
}
