/**
 * One client's connection to one back end, and the place it takes there: from the choice of the back end until it is left.
 *
 *   opening ─▶ silent ─▶ spoken ─▶ over
 *      └─────────┴──────────────────▲        lost while opening or silent: another one may take over
 */
import { MillraceError } from '../../errors.ts';
import { isAbnormal } from '../../protocol/close.ts';
import type { SocketHandler, UpstreamSocket } from '../../protocol/socket-transport.ts';
import type { Alarm } from '../alarms.ts';
import type { Means } from '../means.ts';
import type { Place, PlaceOutcome } from '../place.ts';
import type { Upstream } from '../route.ts';

/** Who comes, as far as the back end is told. */
export interface Guest {
  readonly protocol: string | undefined;
  readonly address: string;
}

export interface BackEndEvents {
  opened(): void;
  /** `isFirst`: it has said nothing before. */
  received(bytes: Uint8Array, binary: boolean, isFirst: boolean): void;
  drained(): void;
  /** It refused, or was lost, before it said anything. */
  unspoken(error: MillraceError): void;
  /** It closed in order, or was lost after it had spoken. */
  closed(code: number, reason: string, tooLarge: boolean): void;
}

export class BackEnd implements SocketHandler {
  readonly upstream: Upstream;
  readonly #means: Means;
  readonly #place: Place;
  readonly #events: BackEndEvents;
  readonly #key: string;
  readonly #ping: Alarm;
  readonly #startMs: number;
  readonly #socket: UpstreamSocket;
  #isOpen = false;
  #spoken = false;
  #over = false;
  #paused = false;
  /** A sign of life since the last look; a ping is out. */
  #heard = false;
  #pinged = false;
  #handshakeMs = 0;

  constructor(means: Means, place: Place, guest: Guest, events: BackEndEvents) {
    this.#means = means;
    this.#place = place;
    this.#events = events;
    this.upstream = means.backEnds.upstream(place.upstream);
    this.#startMs = means.clock.now();
    const { index, since } = this.upstream;
    this.#key = `${index}.${since}.${guest.protocol ?? ''}`;
    this.#ping = means.alarms.create(() => this.#look());
    const kept = this.upstream.options.reuse ? means.idleSockets.take(this.#key) : undefined;
    this.#socket = kept ?? this.#connect(guest);
    if (!kept) return;
    kept.attach(this);
    means.soon(() => this.opened());
  }

  get isOpen(): boolean {
    return this.#isOpen && !this.#over;
  }
  get spoken(): boolean {
    return this.#spoken;
  }
  get socket(): UpstreamSocket {
    return this.#socket;
  }

  /** The client does not read. */
  pause(): void {
    if (this.#paused || this.#over) return;
    this.#paused = true;
    this.#socket.pause();
    this.#means.tally.backpressure();
  }

  resume(): void {
    if (!this.#paused || this.#over) return;
    this.#paused = false;
    this.#heard = true;
    this.#socket.resume();
  }

  /** The client has left, with this code (undefined: without one). `isReusable`: it left in order, and nothing of it is on its way. */
  finish(code: number | undefined, reason: string, isReusable: boolean): void {
    if (this.#over) return;
    const { reuse } = this.upstream.options;
    const keep = reuse && isReusable && this.#isOpen && this.#socket.buffered === 0;
    this.#leave(this.#isOpen ? 'succeeded' : 'neither');
    if (!keep) return this.#socket.close(code, reason);
    const { idleSocketsMax, idleSocketMs } = this.#means.options.proxy;
    this.#means.idleSockets.put(this.#key, this.#socket, idleSocketsMax, idleSocketMs);
  }

  /** We end it. */
  end(code: number, reason: string, outcome: PlaceOutcome = 'neither'): void {
    if (this.#over) return;
    this.#leave(outcome);
    this.#socket.close(code, reason);
  }

  // What the socket says.

  opened(): void {
    if (this.#over) return;
    const { clock, options } = this.#means;
    this.#isOpen = true;
    this.#handshakeMs = clock.now() - this.#startMs;
    this.#ping.set(clock.now() + options.proxy.pingIntervalMs);
    this.#events.opened();
  }

  failed(error: MillraceError): void {
    if (this.#over) return;
    this.#leave('failed');
    this.#events.unspoken(error);
  }

  message(bytes: Uint8Array, binary: boolean): void {
    if (this.#over) return;
    this.#heard = true;
    const isFirst = !this.#spoken;
    this.#spoken = true;
    // How long it took to speak is the client's doing as well; how long to come about is its own.
    if (isFirst) this.#place.firstToken(this.#handshakeMs);
    this.#events.received(bytes, binary, isFirst);
  }

  alive(): void {
    this.#heard = true;
  }

  drained(): void {
    this.#heard = true;
    if (!this.#over) this.#events.drained();
  }

  closed(code: number, reason: string, tooLarge: boolean): void {
    if (this.#over) return;
    const isLost = isAbnormal(code) && !tooLarge;
    this.#leave(isLost ? 'failed' : 'succeeded');
    if (!isLost || this.#spoken) return this.#events.closed(code, reason, tooLarge);
    const said = code === 1006 ? 'without a close frame' : `close code ${code}`;
    const upstream = this.upstream.options.name;
    this.#events.unspoken(new MillraceError('MILLRACE_UPSTREAM_RESET', { upstream, reason: said }));
  }

  #connect({ protocol, address }: Guest): UpstreamSocket {
    const { name, url, apiKey, reuse } = this.upstream.options;
    const { handshakeTimeoutMs, messageBytesMax } = this.#means.options.proxy;
    const headers: Record<string, string> = {};
    if (apiKey !== undefined) headers['Authorization'] = `Bearer ${apiKey}`;
    // A connection that serves many clients is nobody's.
    if (!reuse) headers['X-Forwarded-For'] = address;
    const request = { url, protocol, headers, handshakeTimeoutMs, messageBytesMax };
    return this.#means.sockets.open(name, request, this);
  }

  #leave(outcome: PlaceOutcome): void {
    this.#over = true;
    this.#ping.free();
    this.#place.leave(outcome);
    this.#means.queue.roomCame();
  }

  /** Silent for one interval: a ping; for another one: lost. While we do not read it, it cannot be heard. */
  #look(): void {
    if (this.#over) return;
    const { clock, options } = this.#means;
    if (this.#heard || this.#paused) this.#heard = this.#pinged = false;
    else if (this.#pinged) {
      this.#socket.terminate();
      return this.closed(1006, '', false);
    } else {
      this.#pinged = true;
      this.#socket.ping();
    }
    this.#ping.set(clock.now() + options.proxy.pingIntervalMs);
  }
}
