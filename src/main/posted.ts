/** Stage ① for a POST that is answered in pieces: what it must say before its body is read, and the session of one request that comes of it. */
import { MillraceError } from '../errors.ts';
import { type Accept, type AcceptVerdict, refusal, type Soon } from './accept.ts';
import type { HttpReply, RequestHead, StreamVerdict, UpgradeVerdict } from './backend/backend.ts';
import { corsHeaders } from './cors.ts';
import type { Admission } from './session.ts';

/** Where a shutdown sends clients to: somewhere else, in a moment. */
const DRAINING_RETRY_MS = 1_000;

export interface PostParts {
  readonly draining: boolean;
  readonly bodyBytesMax: number;
  decide(head: RequestHead): Soon<AcceptVerdict>;
  admit(head: RequestHead, verdict: AcceptVerdict): UpgradeVerdict;
  refuse(head: RequestHead, error: MillraceError, reply: HttpReply): UpgradeVerdict;
}

export function decidePost(
  head: RequestHead,
  accept: Pick<Accept, 'checkHost' | 'originAllowed'>,
  parts: PostParts,
): Soon<StreamVerdict> {
  const headers = accept.originAllowed(head) ? corsHeaders(head) : {};
  const settle = (verdict: UpgradeVerdict): StreamVerdict => {
    if (verdict.accept) {
      const user: Admission = { ...(verdict.user as Admission), once: true };
      return { accept: true, user, bodyBytesMax: parts.bodyBytesMax, headers };
    }
    const { reply } = verdict;
    return { accept: false, reply: { ...reply, headers: { ...reply.headers, ...headers } } };
  };
  if (parts.draining) {
    const error = new MillraceError('MILLRACE_DRAINING', {});
    return settle(parts.refuse(head, error, refusal(error, DRAINING_RETRY_MS)));
  }
  const error = accept.checkHost(head) ?? checkContent(head);
  if (error) return settle(parts.refuse(head, error, refusal(error)));
  const verdict = parts.decide(head);
  return verdict instanceof Promise
    ? verdict.then((settled) => settle(parts.admit(head, settled)))
    : settle(parts.admit(head, verdict));
}

function checkContent(head: RequestHead): MillraceError | undefined {
  const coding = head.header('content-encoding');
  if (coding !== undefined && coding.toLowerCase() !== 'identity')
    return new MillraceError('MILLRACE_CONTENT_UNSUPPORTED', {
      got: `Content-Encoding: ${brief(coding)}`,
    });
  const type = head.header('content-type');
  if (type !== undefined && /^application\/(?:[\w.+-]+\+)?json *(?:;|$)/i.test(type))
    return undefined;
  const got = type === undefined ? 'no Content-Type' : `Content-Type: ${brief(type)}`;
  return new MillraceError('MILLRACE_CONTENT_UNSUPPORTED', { got });
}

function brief(text: string): string {
  return text.slice(0, 64);
}
