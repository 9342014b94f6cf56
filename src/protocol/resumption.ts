/**
 * How an answer that broke off goes on at the upstream that gave it. Pure: told what was seen, it says what to ask. One for each attempt.
 *
 *   request ──▶ bytes ──take──▶ decoder        cut        again() ──▶ bytes ──take──▶ the same decoder        forget()
 */
import type { ProviderRequest } from './provider.ts';

export interface Resumption {
  /** The first request, so that the upstream keeps the answer. */
  readonly request: ProviderRequest;
  /** Body bytes on their way to the decoder; returns what it may have now. A view, or private bytes. */
  take(bytes: Uint8Array): Uint8Array;
  /** The body is over and nothing will be asked any more: what was kept back. */
  rest(): Uint8Array;
  /** Asks for what is missing; undefined when it is not known how. What was kept back is forgotten: it comes again. */
  again(): ProviderRequest | undefined;
  /** Ends the answer at the upstream and lets it forget: requests to send one after the other. `whole`: the answer was complete. */
  forget(whole: boolean): readonly ProviderRequest[];
}

/** `nonce`: unguessable text of letters and digits, for a name that is used once. `eventBytesMax`: the decoder's bound. */
export type Resume = (request: ProviderRequest, nonce: string, eventBytesMax: number) => Resumption;
