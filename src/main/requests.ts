/**
 * The requests main still keeps: each admitted client message until its stream ends. Their bytes are kept until the commit
 * point, so that the uncommitted requests of a dead worker can be run again; afterwards its epitaph answers for it.
 */
import type { Ledger } from '../memory/contract.ts';
import type { Options } from '../options/schema.ts';
import type { Epitaph } from '../threads/epitaph-record.ts';
import type { Session } from './session.ts';

/** What a message costs besides its bytes. */
const MESSAGE_BYTES = 64;

/** What main sends in a worker's name if it dies: a frame with a gap for the next sequence number (`at` < 0: none). */
export class Request {
  /** Counts the client messages of this process from 1. */
  readonly number: number;
  readonly session: Session;
  /** 16 unguessable bytes: ids derive from them, here and in a rerun. */
  readonly nonce: Uint8Array;
  readonly arrivedWallMs: number;
  readonly arrivedMs: number;
  readonly binary: boolean;
  readonly length: number;
  /** Undefined from the commit point on. */
  bytes: Uint8Array | undefined;
  /** Row owner and generation in its ids: stays when it runs again elsewhere. */
  owner = 0;
  ownerGeneration = 0;
  tag = 0;
  /** Frames that went to the client: the sequence number of the next one. */
  delivered = 0;
  committed = false;
  reruns = 0;
  /** See MESSAGE_PROLOGUE_BYTES. */
  paid = 0;
  epitaph: Epitaph | undefined = undefined;

  constructor(
    number: number,
    session: Session,
    nonce: Uint8Array,
    bytes: Uint8Array,
    binary: boolean,
    arrivedMs: number,
    arrivedWallMs: number,
  ) {
    this.number = number;
    this.session = session;
    this.nonce = nonce;
    this.bytes = bytes;
    this.length = bytes.byteLength;
    this.binary = binary;
    this.arrivedMs = arrivedMs;
    this.arrivedWallMs = arrivedWallMs;
  }
}

export class Requests {
  readonly #byNumber = new Map<number, Request>();
  readonly #ledger: Ledger;
  #retainedBytesMax: number;
  #next = 1;
  #retained = 0;

  constructor(ledger: Ledger, retainedBytesMax: number) {
    this.#ledger = ledger;
    this.#retainedBytesMax = retainedBytesMax;
  }

  reconfigure({ memory }: Options): void {
    this.#retainedBytesMax = memory.retainedBytesMax;
    this.#ledger.bound(memory.memoryBytesMax);
  }

  get count(): number {
    return this.#byNumber.size;
  }
  get retainedBytes(): number {
    return this.#retained;
  }

  /** Keeps a copy of the message. Undefined when the bound for retained bytes is reached. */
  add(
    session: Session,
    nonce: Uint8Array,
    bytes: Uint8Array,
    binary: boolean,
    nowMs: number,
    wallMs: number,
  ): Request | undefined {
    const length = bytes.byteLength;
    if (this.#retained + length > this.#retainedBytesMax) return undefined;
    if (!this.#ledger.take('retained', length)) return undefined;
    this.#retained += length;
    const number = this.#next;
    this.#next = (number + 1) >>> 0 || 1;
    // Not `slice()`: of a Buffer that is a view, and the backend takes its bytes back.
    const kept = new Uint8Array(bytes);
    const request = new Request(number, session, nonce, kept, binary, nowMs, wallMs);
    this.#byNumber.set(number, request);
    (session.requests ??= []).push(request);
    session.unsettledBytes += MESSAGE_BYTES + length;
    session.latest = request;
    return request;
  }

  /** The request a record belongs to; undefined when it is settled. */
  of(session: Session, number: number): Request | undefined {
    const { latest } = session;
    if (latest !== undefined && latest.number === number) return latest;
    const request = this.#byNumber.get(number);
    if (request?.session !== session) return undefined;
    session.latest = request;
    return request;
  }

  /** From here on no rerun: main lets go of the bytes. */
  commit(request: Request): void {
    if (request.committed) return;
    request.committed = true;
    this.#forget(request);
  }

  /** The stream ended. Once. */
  settle(request: Request): void {
    if (!this.#byNumber.delete(request.number)) return;
    this.#forget(request);
    request.epitaph = undefined;
    const { session } = request;
    session.unsettledBytes -= MESSAGE_BYTES + request.length;
    session.requests?.splice(session.requests.indexOf(request), 1);
    if (session.latest === request) session.latest = undefined;
  }

  /** The open requests of a worker's sessions, oldest first. */
  ofWorker(worker: number): Request[] {
    return [...this.#byNumber.values()].filter((request) => request.session.worker === worker);
  }

  /** Its session left: nobody waits for any of them. */
  settleAll(session: Session): void {
    for (const request of [...(session.requests ?? [])]) this.settle(request);
  }

  #forget(request: Request): void {
    if (request.bytes === undefined) return;
    this.#retained -= request.bytes.byteLength;
    this.#ledger.give('retained', request.bytes.byteLength);
    request.bytes = undefined;
  }
}
