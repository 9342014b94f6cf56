/**
 * OpenAI's Responses API runs a response with `background` whether anybody reads it or not, keeps it (`store`), and streams it again behind any event's
 * number. As it goes on at an event, the decoder gets whole events only: the piece of one that a cut leaves is thrown away here.
 */
import type { ProviderRequest } from '../provider.ts';
import type { Resumption } from '../resumption.ts';
import { asObject, asText } from './json-value.ts';

const NONE = new Uint8Array(0);
/** It becomes a part of a path. */
const ID = /^[\w-]{1,256}$/;

export class BackgroundResumption implements Resumption {
  readonly request: ProviderRequest;
  readonly #eventBytesMax: number;
  #kept: Uint8Array = NONE;
  #id: string | undefined;
  #after = -1;

  constructor(request: ProviderRequest, eventBytesMax: number) {
    const body = { ...(JSON.parse(request.body) as object), store: true, background: true };
    this.request = { ...request, body: JSON.stringify(body) };
    this.#eventBytesMax = eventBytesMax;
  }

  take(bytes: Uint8Array): Uint8Array {
    const all = this.#kept.length === 0 ? bytes : Buffer.concat([this.#kept, bytes]);
    const end = this.#note(all);
    const rest = all.subarray(end);
    // An event of such a size is the decoder's to refuse.
    if (rest.length > this.#eventBytesMax) {
      this.#kept = NONE;
      this.#id = undefined;
      return all;
    }
    this.#kept = rest.length === 0 ? NONE : new Uint8Array(rest);
    return all.subarray(0, end);
  }

  rest(): Uint8Array {
    const rest = this.#kept;
    this.#kept = NONE;
    return rest;
  }

  again(): ProviderRequest | undefined {
    if (this.#id === undefined || this.#after < 0) return undefined;
    this.#kept = NONE;
    const query = `?stream=true&starting_after=${this.#after}`;
    return this.#ask('GET', query);
  }

  /** One that still runs is stopped first. */
  forget(whole: boolean): ProviderRequest[] {
    if (this.#id === undefined) return [];
    const deletion = this.#ask('DELETE', '');
    return whole ? [deletion] : [this.#ask('POST', '/cancel'), deletion];
  }

  #ask(method: ProviderRequest['method'], rest: string): ProviderRequest {
    const { 'content-type': _, ...headers } = this.request.headers;
    return { method, path: `/responses/${this.#id}${rest}`, headers, body: '' };
  }

  /** Looks at the whole events in there; returns where the last of them ends. */
  #note(bytes: Uint8Array): number {
    let from = 0;
    for (let at = 0; at < bytes.length; at++) {
      const end = eventEnd(bytes, at);
      if (end < 0) continue;
      this.#event(bytes.subarray(from, at));
      from = end;
      at = end - 1;
    }
    return from;
  }

  #event(bytes: Uint8Array): void {
    const text = Buffer.from(bytes).toString();
    const at = text.indexOf('data:');
    if (at < 0) return;
    if (this.#id === undefined) this.#id = idIn(text.slice(at + 5));
    const number = /"sequence_number": ?(\d{1,15})[,} ]/.exec(text)?.[1];
    if (number !== undefined) this.#after = Math.max(this.#after, Number(number));
  }
}

/** Where an event ends whose last line does at `at`: behind the blank line; -1 when none ends there. */
function eventEnd(bytes: Uint8Array, at: number): number {
  const next = lineEnd(bytes, at);
  return next < 0 ? -1 : lineEnd(bytes, next);
}

function lineEnd(bytes: Uint8Array, at: number): number {
  if (bytes[at] === 10) return at + 1;
  if (bytes[at] !== 13) return -1;
  return bytes[at + 1] === 10 ? at + 2 : at + 1;
}

function idIn(data: string): string | undefined {
  try {
    const id = asText(asObject(asObject(JSON.parse(data))?.['response'])?.['id']);
    return id !== undefined && ID.test(id) ? id : undefined;
  } catch {
    return undefined;
  }
}
