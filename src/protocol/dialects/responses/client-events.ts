/** The events a client may send, as a table: the unknown-event sentence and docs/PROTOCOL.md are made from it. */
import { MillraceError } from '../../../errors.ts';
import type { IdSeed } from '../../dialect.ts';
import { formatId } from '../../ids.ts';
import { describe, type Fields, slice } from '../fields.ts';
import { errorObject } from './error-frame.ts';

export interface ClientEvent {
  readonly type: string;
  readonly fields: readonly string[];
  readonly text: string;
}

export const responsesClientEvents: readonly ClientEvent[] = [
  {
    type: 'response.create',
    fields: ['stream_id', 'generate', '…'],
    text: 'Asks for a response. The fields of POST /v1/responses stand beside `type` or under `response`; see below.',
  },
  {
    type: 'response.cancel',
    fields: ['response_id', 'stream_id'],
    text: 'An extension: cancels one response, or everything on a lane (without fields: the default lane).',
  },
  {
    type: 'response.steer',
    fields: ['previous_response_id', 'input'],
    text: 'Answered with `response.steer.failed` and `steering_not_supported`: the response goes on as it was.',
  },
  {
    type: 'response.inject',
    fields: ['response_id', 'input'],
    text: 'Answered with `response.inject.failed`, which gives the input back: the response goes on as it was.',
  },
];

/** What becomes of a field of `response.create`: used for the request, said back only, or refused. Others are tolerated. */
export interface CreateField {
  readonly name: string;
  readonly use: 'used' | 'echoed' | 'refused';
  readonly text: string;
}

export const responsesCreateFields: readonly CreateField[] = [
  { name: 'model', use: 'used', text: 'Required. One of the configured models.' },
  { name: 'input', use: 'used', text: 'Text, or items: messages, function calls, their outputs.' },
  { name: 'instructions', use: 'used', text: 'A system message in front; not inherited.' },
  { name: 'previous_response_id', use: 'used', text: 'Continues a response of this session.' },
  { name: 'generate', use: 'used', text: 'false: remembered, but no model is asked.' },
  { name: 'stream_id', use: 'used', text: 'The lane: 1 to 256 of A-Z a-z 0-9 _ . -' },
  { name: 'store', use: 'used', text: 'false: only the latest response of a lane is remembered.' },
  { name: 'tools', use: 'used', text: 'Function tools; others run at a vendor and are refused.' },
  { name: 'tool_choice', use: 'used', text: 'none, auto, required or one function.' },
  { name: 'parallel_tool_calls', use: 'used', text: 'May several functions be called at once?' },
  { name: 'temperature', use: 'used', text: '0 to 2.' },
  { name: 'top_p', use: 'used', text: '0 to 1.' },
  { name: 'max_output_tokens', use: 'used', text: 'At least 1.' },
  { name: 'reasoning', use: 'used', text: '`effort` is passed on, `summary` said back.' },
  { name: 'text', use: 'used', text: '`format` is passed on, `verbosity` said back.' },
  { name: 'user', use: 'used', text: 'Passed on; `safety_identifier` stands in for it.' },
  { name: 'seed', use: 'used', text: 'An extension: passed on.' },
  {
    name: 'metadata',
    use: 'echoed',
    text: 'Strings by name; `traceparent` and `tracestate` say which trace the response belongs to.',
  },
  {
    name: 'client_metadata',
    use: 'used',
    text: 'Only `traceparent` and `tracestate`, also as `ws_request_header_traceparent`.',
  },
  { name: 'truncation', use: 'echoed', text: 'auto or disabled; nothing is ever cut out here.' },
  { name: 'service_tier', use: 'echoed', text: 'Not passed on.' },
  { name: 'max_tool_calls', use: 'echoed', text: 'Not passed on.' },
  { name: 'prompt_cache_key', use: 'echoed', text: 'Not passed on.' },
  { name: 'top_logprobs', use: 'echoed', text: 'Not passed on: no log probabilities come.' },
  {
    name: 'background',
    use: 'refused',
    text: 'true only: an answer streams while its session is open.',
  },
  { name: 'conversation', use: 'refused', text: 'Nothing is stored here.' },
  { name: 'prompt', use: 'refused', text: 'Nothing is stored here.' },
];

/**
 * An event that means nothing here: other servers' events, and those of SDKs to come. Not an `error`: agents take one for the end of their
 * running response.
 */
export function eventIgnored(type: string, lane: string): Uint8Array {
  const error = new MillraceError('MILLRACE_EVENT_UNKNOWN', {
    got: describe(type),
    expected: responsesClientEvents.map((known) => known.type).join(', '),
  });
  const answer = {
    type: 'millrace.event.ignored',
    ...(lane === '' ? {} : { stream_id: lane }),
    event: slice(type, EVENT_CHARS_MAX),
    error: errorObject(error),
  };
  return Buffer.from(JSON.stringify(answer));
}

/** A running response takes no more input; the vendor's word for "send it in another one". */
export function injectFailed(event: Fields): Uint8Array {
  const answer = {
    type: 'response.inject.failed',
    sequence_number: 0,
    response_id: event.string('response_id') ?? '',
    error: {
      code: 'response_not_found',
      message: 'A running response takes no input here; continue it when it ended.',
    },
    input: saidBack(event),
  };
  return Buffer.from(JSON.stringify(answer));
}

const EVENT_CHARS_MAX = 64;
/** Longer input is not said back. */
const INPUT_CHARS_MAX = 64 * 1024;

export function steeringFailed(event: Fields, seed: IdSeed): Uint8Array {
  const previousId = event.text('previous_response_id');
  const steer = { id: formatId('steer_', seed), previous_response_id: previousId };
  const answer = {
    type: 'response.steer.failed',
    sequence_number: 0,
    error: {
      type: 'invalid_request_error',
      code: 'steering_not_supported',
      message: 'A running response cannot be steered here; cancel it or continue it when it ended.',
    },
    steer: { ...steer, input: saidBack(event) },
  };
  return Buffer.from(JSON.stringify(answer));
}

function saidBack(event: Fields): unknown {
  const input = event.passed('input') ?? [];
  return JSON.stringify(input).length <= INPUT_CHARS_MAX ? input : [];
}
