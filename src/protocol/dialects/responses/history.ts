/**
 * What a session's responses may be continued from. A turn remembers only what it added and points at the turn before it, so
 * a fork on another lane shares its past:
 *
 *     lane ''   A ◀── B ◀── C          named: C, and with store also A and B
 *     lane 'x'        ▲──── D          D keeps A and B even when lane '' forgets them
 *
 * The bound is per lane and counts every turn the lane can still reach. A turn whose whole past is above it is not remembered
 * (its continuation is then unknown, and the client sends its input anew); otherwise the lane's oldest names go until it fits.
 */
import { must } from '../../../must.ts';
import type { Message } from '../../request.ts';

/** Counted for every turn and every message beside their text: objects are not free. */
const TURN_BYTES = 384;
const MESSAGE_BYTES = 64;

export interface PastTurn {
  readonly id: string;
  readonly before: PastTurn | undefined;
  readonly messages: readonly Message[];
  /** Of this turn alone, and with everything before it. */
  readonly bytes: number;
  readonly chainBytes: number;
  /** False: it can be continued only while it is its lane's latest. */
  readonly store: boolean;
}

interface Lane {
  /** Turns that may be continued by name, oldest first. */
  readonly named: Map<string, PastTurn>;
  /** Reachable turns, each with what holds it here: its name and the turns that continue it. */
  readonly holds: Map<PastTurn, number>;
  latest: PastTurn | undefined;
  bytes: number;
}

export class History {
  readonly #bytesMax: number;
  readonly #lanes = new Map<string, Lane>();
  /** Over all lanes: how many of them reach a turn. */
  readonly #reached = new Map<PastTurn, number>();
  #heldBytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes of all remembered turns; a shared one counts once. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  find(id: string): PastTurn | undefined {
    for (const lane of this.#lanes.values()) {
      const turn = lane.named.get(id);
      if (turn !== undefined) return turn;
    }
    return undefined;
  }

  /** Everything said up to and including a turn, oldest first. */
  static messages(turn: PastTurn | undefined): Message[] {
    const turns: PastTurn[] = [];
    for (let at = turn; at !== undefined; at = at.before) turns.push(at);
    return turns.reverse().flatMap((past) => past.messages);
  }

  remember(
    laneName: string,
    turn: {
      id: string;
      before: PastTurn | undefined;
      messages: readonly Message[];
      store: boolean;
    },
  ): void {
    const bytes = bytesOf(turn.messages);
    const chainBytes = bytes + (turn.before?.chainBytes ?? 0);
    const lane = this.#lane(laneName);
    const latest = lane.latest;
    if (latest?.store === false) this.#forget(lane, latest);
    lane.latest = undefined;
    if (chainBytes > this.#bytesMax) return this.#tidy(laneName, lane);
    const past: PastTurn = { ...turn, bytes, chainBytes };
    lane.named.set(past.id, past);
    lane.latest = past;
    this.#hold(lane, past);
    for (const oldest of lane.named.values()) {
      if (lane.bytes <= this.#bytesMax) break;
      this.#forget(lane, oldest);
    }
    must(lane.bytes <= this.#bytesMax, 'a lane remembers at most its bound');
  }

  /** A failed continuation takes the response it continued with it, unless that one was to be stored. */
  evict(turn: PastTurn): void {
    if (turn.store) return;
    for (const [name, lane] of this.#lanes) {
      if (!lane.named.has(turn.id)) continue;
      this.#forget(lane, turn);
      this.#tidy(name, lane);
    }
  }

  #lane(name: string): Lane {
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      lane = { named: new Map(), holds: new Map(), latest: undefined, bytes: 0 };
      this.#lanes.set(name, lane);
    }
    return lane;
  }

  #tidy(name: string, lane: Lane): void {
    if (lane.named.size === 0) this.#lanes.delete(name);
  }

  #forget(lane: Lane, turn: PastTurn): void {
    if (!lane.named.delete(turn.id)) return;
    if (lane.latest === turn) lane.latest = undefined;
    this.#release(lane, turn);
  }

  /** One more holder of a turn; the first one reaches its past too. */
  #hold(lane: Lane, turn: PastTurn): void {
    for (let at: PastTurn | undefined = turn; at !== undefined; at = at.before) {
      const holders = lane.holds.get(at) ?? 0;
      lane.holds.set(at, holders + 1);
      if (holders > 0) return;
      lane.bytes += at.bytes;
      const lanes = this.#reached.get(at) ?? 0;
      this.#reached.set(at, lanes + 1);
      if (lanes === 0) this.#heldBytes += at.bytes;
    }
  }

  #release(lane: Lane, turn: PastTurn): void {
    for (let at: PastTurn | undefined = turn; at !== undefined; at = at.before) {
      const holders = lane.holds.get(at) ?? 0;
      must(holders > 0, 'a remembered turn is held');
      if (holders > 1) {
        lane.holds.set(at, holders - 1);
        return;
      }
      lane.holds.delete(at);
      lane.bytes -= at.bytes;
      this.#unreach(at);
    }
  }

  #unreach(turn: PastTurn): void {
    const lanes = this.#reached.get(turn) ?? 0;
    if (lanes > 1) {
      this.#reached.set(turn, lanes - 1);
      return;
    }
    this.#reached.delete(turn);
    this.#heldBytes -= turn.bytes;
  }
}

/** Text as UTF-8 plus what its objects cost. */
function bytesOf(messages: readonly Message[]): number {
  return messages.reduce((sum, message) => sum + MESSAGE_BYTES + textBytes(message), TURN_BYTES);
}

function textBytes(message: Message): number {
  if (message.role === 'tool')
    return Buffer.byteLength(message.callId) + Buffer.byteLength(message.content);
  let bytes = 0;
  for (const part of message.content)
    bytes += MESSAGE_BYTES + Buffer.byteLength(part.type === 'text' ? part.text : part.url);
  if (message.role === 'assistant')
    for (const call of message.toolCalls ?? [])
      bytes += MESSAGE_BYTES + Buffer.byteLength(call.id + call.name + call.arguments);
  return bytes;
}
