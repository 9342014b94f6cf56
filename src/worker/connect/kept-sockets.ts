/**
 * Sockets that wait for the next request with their key, and what the last response of each can be continued from. The server keeps that response with its socket; here only its id and a digest
 * of the conversation stay: of everything it was asked and said, as the next turn would send it along.
 *
 *     asked   a b c          kept: id, count 4, digest of a b c D
 *     said          D
 *     next    a b c D e      its first 4 have that digest: sent as the id and e
 */
import { close as closeCode } from '../../protocol/close.ts';
import type { UpstreamSocket } from '../../protocol/socket-transport.ts';
import type { ExchangeRequest } from '../../protocol/transport.ts';
import type { ItemsHash } from './items-hash.ts';
import type { SocketOptions } from './sockets.ts';

/** A server that has forgotten so often in a row is told everything from then on. */
const FORGOTTEN_MAX = 3;

export interface SocketMemory {
  readonly id: string;
  /** Items of the conversation up to its end. */
  readonly count: number;
  readonly digest: string;
}

/** Which response is continued, and how many items it stands for. */
export type Continued = Pick<SocketMemory, 'id' | 'count'>;

interface Kept {
  readonly socket: UpstreamSocket;
  readonly memory: SocketMemory | undefined;
  readonly timer: NodeJS.Timeout;
}

export class KeptSockets {
  readonly #options: SocketOptions;
  /** By key; who has waited longest comes first. */
  readonly #kept = new Map<string, Kept[]>();
  /** By key: continuations in a row that their server did not know. */
  readonly #forgotten = new Map<string, number>();
  #closing = false;

  constructor(options: SocketOptions) {
    this.#options = options;
  }

  /**
   * One for this request: that of its own conversation, or the one that has waited longest, whose conversation is the least likely to go on. `said` takes in what the request asks;
   * absent: nothing is continued.
   */
  take(
    key: string,
    { body }: ExchangeRequest,
    said: ItemsHash | undefined,
  ): { readonly socket: UpstreamSocket; readonly continued: Continued | undefined } | undefined {
    const all = this.#kept.get(key) ?? [];
    const own = said ? this.#ofConversation(key, all, body, said) : undefined;
    const kept = own ?? (said ? all[0] : all.at(-1));
    if (!kept) return undefined;
    clearTimeout(kept.timer);
    all.splice(all.indexOf(kept), 1);
    return { socket: kept.socket, continued: own?.memory };
  }

  /** It waits for the next request; whatever it says meanwhile ends it. */
  give(key: string, socket: UpstreamSocket, memory: SocketMemory | undefined): void {
    const all = this.#kept.get(key) ?? [];
    this.#kept.set(key, all);
    if (this.#closing || all.length >= this.#options.idleSocketsMax)
      return socket.close(closeCode.normal);
    const forget = (): void => {
      clearTimeout(kept.timer);
      const at = all.indexOf(kept);
      if (at >= 0) all.splice(at, 1);
    };
    const drop = (): void => {
      forget();
      socket.close(closeCode.normal);
    };
    const kept = { socket, memory, timer: setTimeout(drop, this.#options.idleMs) };
    all.push(kept);
    const quiet = { opened() {}, alive() {}, drained() {} };
    socket.attach({ ...quiet, failed: forget, message: drop, closed: forget });
  }

  /** A continuation was answered. */
  knew(key: string): void {
    this.#forgotten.delete(key);
  }

  forgot(key: string): void {
    this.#forgotten.set(key, (this.#forgotten.get(key) ?? 0) + 1);
  }

  close(): void {
    this.#closing = true;
    for (const all of this.#kept.values()) for (const { timer } of all) clearTimeout(timer);
    this.#kept.clear();
  }

  /** Whose memory the request goes on with, and the most of it. */
  #ofConversation(
    key: string,
    all: readonly Kept[],
    body: string,
    said: ItemsHash,
  ): Kept | undefined {
    const { input } = JSON.parse(body) as { input: readonly unknown[] };
    const trusted = (this.#forgotten.get(key) ?? 0) < FORGOTTEN_MAX;
    let found: Kept | undefined;
    for (const [at, item] of input.entries()) {
      said.add(item);
      // Something new has to follow.
      if (!trusted || at + 1 === input.length) continue;
      const ending = all.filter(({ memory }) => memory?.count === at + 1);
      const digest = ending.length > 0 ? said.digest() : undefined;
      found = ending.find(({ memory }) => memory?.digest === digest) ?? found;
    }
    return found;
  }
}

/** The request as the socket's own event. */
export function createText({ body }: ExchangeRequest, continued: Continued | undefined): string {
  const { stream: _, ...create } = JSON.parse(body) as Record<string, unknown>;
  const type = 'response.create';
  if (!continued) return JSON.stringify({ type, ...create });
  const input = (create['input'] as readonly unknown[]).slice(continued.count);
  return JSON.stringify({ type, ...create, previous_response_id: continued.id, input });
}

/** Does this error say that the response to go on with is unknown? In both shapes that such errors have. */
export function isForgotten(text: string): boolean {
  try {
    const event = JSON.parse(text) as { code?: unknown; param?: unknown; error?: object };
    const { code, param } = { ...event, ...event.error };
    return code === 'previous_response_not_found' || param === 'previous_response_id';
  } catch {
    return false;
  }
}
