/** A stream with the hooks around it that the user has: none cost nothing. */
import { MillraceError } from '../errors.ts';
import type { Encoder } from '../protocol/dialect.ts';
import type { Finished } from '../protocol/hooks.ts';
import type { ModelRequest } from '../protocol/request.ts';
import type { StreamEnded } from '../threads/facts.ts';
import type { SessionFacts } from '../threads/messages.ts';
import type { HookCalls } from './hook-calls.ts';
import type { Means } from './means.ts';
import { meteredStream } from './metered-stream.ts';
import type { StreamFacts } from './stream-ended.ts';
import type { Outlet } from './tap.ts';
import { TextListener } from './text-listener.ts';
import { type Running, Vetting } from './vetting.ts';

export interface StreamParts {
  readonly means: Means;
  readonly facts: StreamFacts;
  readonly session: SessionFacts;
  readonly request: ModelRequest;
  readonly encoder: Encoder;
  readonly tap: Outlet;
  readonly done: () => void;
}

export function hookedStream(parts: StreamParts): Running {
  // Not `parts` in any closure: a running stream would hold its request by it.
  const { means, facts, session, request, encoder, tap, done } = parts;
  const { hooks } = means;
  const running = (asked: ModelRequest, more: Partial<StreamParts> = {}) =>
    meteredStream({ means, facts, session, request: asked, encoder, tap, done, ...more });
  if (hooks === undefined) return running(request);
  const stream = (asked: ModelRequest) => {
    if (!hooks.has('onFinish')) return running(asked);
    const heard = new TextListener(encoder, means.options.hooks.textBytesMax);
    const telling = tellingMeans(means, hooks, heard);
    return running(asked, { means: telling, encoder: heard });
  };
  if (!hooks.has('onRequest')) return stream(request);
  const { principal, dialect, address, keyName } = session;
  const known = { dialect, address, ...(keyName === undefined ? {} : { keyName }) };
  const asked = { request, principal, session: known };
  return new Vetting({
    means,
    encoder,
    tap,
    ask: (settle) => hooks.request(asked, settle),
    stream,
    done,
  });
}

/** The same means, with an ear for the one word a stream says at its end. */
function tellingMeans(means: Means, hooks: HookCalls, heard: TextListener): Means {
  return {
    ...means,
    publish(fact) {
      means.publish(fact);
      if (fact.fact === 'stream-ended') hooks.finish(() => finishedOf(fact, heard));
    },
  };
}

function finishedOf(fact: StreamEnded, heard: TextListener): Finished {
  const { responseId, outcome, principal, dialect, model, upstream, durationMs, error } = fact;
  const { inputTokens, cachedTokens, outputTokens, reasoningTokens } = fact;
  const failure = error && MillraceError.fromWire(error);
  return {
    responseId,
    outcome,
    text: heard.text,
    textCut: heard.cut,
    usage: { inputTokens, cachedTokens, outputTokens, reasoningTokens },
    finish: heard.finishReason,
    principal,
    dialect,
    model,
    upstream,
    durationMs,
    ...(failure && { error: { code: failure.code, message: failure.message } }),
  };
}
