/** The few frames of a WebSocket (RFC 6455) that a ping needs. Whatever else the server says is skipped. */
import { createHash, randomBytes } from 'node:crypto';

/** A client masks what it sends (section 5.3); nothing is in them but the close code 1000. */
export const PING = Uint8Array.of(0x89, 0x80, 0, 0, 0, 0);
export const CLOSE = Uint8Array.of(0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8);

const CLOSE_CODE = 0x8;
const PONG_CODE = 0xa;

export const keyOf = () => randomBytes(16).toString('base64');

/** What a server answers to the key (section 4.2.2). */
export const acceptOf = (key: string) =>
  createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

/** Reads frames, however they are split, up to the first pong or close. */
export class PongReader {
  /** The head of a frame so far. */
  #head: number[] = [];
  /** Payload bytes to skip. */
  #skip = 0;

  read(bytes: Uint8Array): 'pong' | 'close' | undefined {
    for (let at = 0; at < bytes.length; ) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, bytes.length - at);
        this.#skip -= skipped;
        at += skipped;
        continue;
      }
      this.#head.push(bytes[at++]);
      const length = lengthOf(this.#head);
      if (length === undefined) continue;
      const code = this.#head[0] & 0xf;
      if (code === PONG_CODE) return 'pong';
      if (code === CLOSE_CODE) return 'close';
      this.#skip = length;
      this.#head = [];
    }
    return undefined;
  }
}

/** Undefined: the head is not complete. */
function lengthOf([, second, ...more]: readonly number[]): number | undefined {
  if (second === undefined) return undefined;
  const short = second & 0x7f;
  if (short < 126) return short;
  const count = short === 126 ? 2 : 8;
  return more.length < count ? undefined : more.reduce((sum, byte) => sum * 256 + byte, 0);
}
