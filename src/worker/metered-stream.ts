/** A stream with its token budgets: asked before it begins, metered while it runs, settled when it has ended, whichever way. Without budgets it is the stream alone. */
import { MillraceError } from '../errors.ts';
import type { Reservation } from '../policy/limit/reservation.ts';
import type { Encoder } from '../protocol/dialect.ts';
import type { ModelRequest } from '../protocol/request.ts';
import type { StreamEnded } from '../threads/facts.ts';
import type { SessionFacts } from '../threads/messages.ts';
import type { Means } from './means.ts';
import { MeteredEncoder } from './metered-encoder.ts';
import { Stream } from './stream.ts';
import type { StreamFacts } from './stream-ended.ts';
import type { Outlet } from './tap.ts';
import { type Running, Vetting } from './vetting.ts';

export interface MeteredParts {
  readonly means: Means;
  readonly facts: StreamFacts;
  readonly session: SessionFacts;
  readonly request: ModelRequest;
  readonly encoder: Encoder;
  readonly tap: Outlet;
  readonly done: () => void;
}

export function meteredStream(parts: MeteredParts): Running {
  const { means, facts, session, request, encoder, tap, done } = parts;
  const { budgets } = means;
  const claims = budgets.of(session);
  if (claims.length === 0) return new Stream(means, facts, request, encoder, tap, done);
  let reservation: Reservation;
  return new Vetting({
    means,
    encoder,
    tap,
    done,
    ask(settle) {
      const taken = budgets.reserve(claims, request);
      if (taken instanceof MillraceError) return settle(taken);
      reservation = taken;
      settle(request);
    },
    stream: () => metered(parts, reservation),
  });
}

function metered(
  { means, facts, request, encoder, tap, done }: MeteredParts,
  reservation: Reservation,
): Stream {
  const { bytesPerToken, whenExceeded } = means.budgets.options;
  const meter = new MeteredEncoder(encoder, {
    reservation,
    bytesPerToken,
    ends: whenExceeded === 'end',
    // Not in the middle of what the upstream says.
    exceeded: () => means.soon(() => stream.cancel('client')),
  });
  const settling: Means = {
    ...means,
    publish(fact) {
      means.publish(fact);
      if (fact.fact === 'stream-ended') settle(reservation, fact);
    },
  };
  const stream = new Stream(settling, facts, request, meter, tap, done);
  return stream;
}

/** Zeros where nobody has said: an upstream that was cancelled, or tells no usage. */
function settle(reservation: Reservation, fact: StreamEnded): void {
  const { outcome, attempts, inputTokens, cachedTokens, reasoningTokens } = fact;
  const { used } = reservation;
  if (inputTokens === 0 && fact.outputTokens === 0) {
    // Who never said anything was not paid.
    return reservation.settle(undefined, outcome !== 'finished' && used === 0);
  }
  // What was said after the last word on it, or by an attempt that another one went on with, only we have counted.
  const isWhole = outcome === 'finished' && attempts === 1;
  const outputTokens = isWhole ? fact.outputTokens : Math.max(used, fact.outputTokens);
  reservation.settle({ inputTokens, cachedTokens, outputTokens, reasoningTokens });
}
