/** A client that says what no well-behaved client would: bytes, requests and frames on a plain socket. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { until } from './until.ts';

export interface Frame {
  readonly fin: boolean;
  /** The three reserved bits, 0 to 7. */
  readonly reserved: number;
  readonly opcode: number;
  readonly payload: Buffer;
}

export interface FrameParts {
  readonly opcode: number;
  readonly payload?: Uint8Array | string;
  readonly fin?: boolean;
  readonly reserved?: number;
  readonly masked?: boolean;
  /** Bits of the length field; absent: the shortest that holds it. */
  readonly lengthBits?: 7 | 16 | 64;
  /** A length other than the payload's. */
  readonly declared?: bigint;
}

export const opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** A client's frame, as bytes. */
export function frame(parts: FrameParts): Buffer {
  const { fin = true, reserved = 0, masked = true } = parts;
  const payload = Buffer.from(parts.payload ?? '');
  const declared = parts.declared ?? BigInt(payload.length);
  const bits = parts.lengthBits ?? (declared < 126n ? 7 : declared < 65_536n ? 16 : 64);
  const head = Buffer.alloc(bits === 7 ? 2 : bits === 16 ? 4 : 10);
  head[0] = (fin ? 0x80 : 0) | (reserved << 4) | parts.opcode;
  if (bits === 7) head[1] = Number(declared);
  else if (bits === 16) {
    head[1] = 126;
    head.writeUInt16BE(Number(declared), 2);
  } else {
    head[1] = 127;
    head.writeBigUInt64BE(declared, 2);
  }
  if (!masked) return Buffer.concat([head, payload]);
  head[1] |= 0x80;
  const key = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);
  return Buffer.concat([head, key, payload.map((byte, i) => byte ^ key[i & 3])]);
}

/** The payload of a close frame. */
export function closePayload(code: number, reason: Uint8Array | string = ''): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(code);
  return Buffer.concat([head, Buffer.from(reason)]);
}

export const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

/** The lines of a correct handshake; `headers` replaces (string), drops (undefined) or repeats (array) by name. */
export function handshake(
  port: number,
  headers: Readonly<Record<string, string | readonly string[] | undefined>> = {},
  start = 'GET /ws HTTP/1.1',
): string {
  const all: Record<string, string | readonly string[] | undefined> = {
    Host: `127.0.0.1:${port}`,
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': KEY,
    'Sec-WebSocket-Version': '13',
    ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]) =>
    [value ?? []].flat().map((one) => `${name}: ${one}`),
  );
  return [start, ...lines, '', ''].join('\r\n');
}

/** Ports of 127.0.0.1 that speak TLS: raw clients do so there. */
export const securePorts = new Set<number>();

/** Everything that came is kept: `text` for HTTP, `frames` for what follows the handshake's answer. */
export class RawClient {
  readonly socket: Socket;
  /** The server ended its side, or the connection broke. */
  ended = false;
  /** Both sides are closed. */
  closed = false;
  #chunks: Buffer[] = [];
  readonly #tcp: Socket;

  private constructor(tcp: Socket, socket = tcp) {
    this.#tcp = tcp;
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#chunks.push(chunk));
    socket.on('end', () => {
      this.ended = true;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.ended = true;
      this.closed = true;
    });
  }

  static async connect(port: number, allowHalfOpen = false): Promise<RawClient> {
    const tcp = connect({ port, host: '127.0.0.1', allowHalfOpen });
    if (!securePorts.has(port)) {
      const client = new RawClient(tcp);
      await until(() => !tcp.connecting, 'the connection');
      return client;
    }
    const secure = connectTls({ socket: tcp, rejectUnauthorized: false });
    const client = new RawClient(tcp, secure);
    let ready = false;
    secure.once('secureConnect', () => {
      ready = true;
    });
    // Both ends of hundreds of handshakes may be this one thread's work.
    await until(() => ready || client.closed, 'the secure connection', 20_000);
    return client;
  }

  /** Connects and upgrades. */
  static async open(port: number): Promise<RawClient> {
    const client = await RawClient.connect(port);
    client.write(handshake(port));
    await until(() => client.text.includes('\r\n\r\n'), 'the handshake’s answer');
    if (client.status !== 101) throw new Error(`refused: ${client.text}`);
    return client;
  }

  write(bytes: Uint8Array | string): void {
    if (!this.socket.destroyed) this.socket.write(bytes);
  }

  get bytes(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0] ?? Buffer.alloc(0);
  }

  get text(): string {
    return this.bytes.toString('latin1');
  }

  /** Of the first answer; 0: none yet. */
  get status(): number {
    return Number(/^HTTP\/1\.1 (\d{3})/.exec(this.text)?.[1] ?? 0);
  }

  /** Of every answer in what came. */
  get statuses(): number[] {
    return [...this.text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));
  }

  /** Whole frames after the handshake's answer. */
  get frames(): Frame[] {
    const start = this.bytes.indexOf('\r\n\r\n');
    return start < 0 ? [] : parseFrames(this.bytes.subarray(start + 4));
  }

  /** The code of the server's close frame; undefined: none came; 1005: it carried none. */
  get closeCode(): number | undefined {
    const found = this.frames.find((one) => one.opcode === opcode.close);
    if (!found) return undefined;
    return found.payload.length < 2 ? 1005 : found.payload.readUInt16BE(0);
  }

  /** Drops the connection with a reset. */
  reset(): void {
    // Over TLS the socket below is closed by the one above, once.
    if (this.#tcp !== this.socket && this.ended) {
      this.socket.destroy();
      return;
    }
    this.#tcp.resetAndDestroy();
  }
}

function parseFrames(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const short = bytes[at + 1] & 0x7f;
    const head = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (at + head > bytes.length) break;
    const length =
      short < 126
        ? short
        : short === 126
          ? bytes.readUInt16BE(at + 2)
          : Number(bytes.readBigUInt64BE(at + 2));
    if (at + head + length > bytes.length) break;
    frames.push({
      fin: (bytes[at] & 0x80) !== 0,
      reserved: (bytes[at] >> 4) & 7,
      opcode: bytes[at] & 15,
      payload: bytes.subarray(at + head, at + head + length),
    });
    at += head + length;
  }
  return frames;
}
