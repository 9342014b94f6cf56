/** The events a client may send, as a table: the unknown-event sentence and docs/PROTOCOL.md are made from it. */
import type { IdSeed } from '../../dialect.ts';
import { formatId } from '../../ids.ts';
import type { Fields } from '../fields.ts';

export interface ClientEvent {
  readonly type: string;
  /** Fields that are read; a create's are listed at `createFields`. */
  readonly fields: readonly string[];
  readonly text: string;
}

export const clientEvents: readonly ClientEvent[] = [
  {
    type: 'response.create',
    fields: ['stream_id', 'generate', 'model', 'input', 'previous_response_id', '…'],
    text: 'Asks for a response. The fields of POST /v1/responses stand beside `type` or under `response`.',
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
];

export function steeringFailed(event: Fields, seed: IdSeed): Uint8Array {
  const answer = {
    type: 'response.steer.failed',
    error: {
      code: 'steering_not_supported',
      message: 'A running response cannot be steered here; cancel it or continue it when it ended.',
    },
    steer: {
      id: formatId('steer_', seed),
      previous_response_id: event.text('previous_response_id'),
    },
  };
  return Buffer.from(JSON.stringify(answer));
}
