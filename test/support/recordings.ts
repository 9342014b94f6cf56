/** Recorded exchanges of real servers (test/recordings), read back as HTTP: status, headers, body, and the reads it came in. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface Recording {
  /** `server/name` */
  readonly name: string;
  /** What was asked: `POST /v1/chat/completions`. */
  readonly asked: string;
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  /** The body, transfer coding removed, as far as it came. */
  readonly body: Uint8Array;
  /** The body in the pieces in which the recording client read it. */
  readonly reads: readonly Uint8Array[];
  /** The body ended as its framing said. */
  readonly whole: boolean;
}

const root = fileURLToPath(new URL('../../../test/recordings/', import.meta.url));

/** Those of one endpoint, or all of them. */
export function recordings(asked?: string): readonly Recording[] {
  return everything().filter((it) => asked === undefined || it.asked === asked);
}

function everything(): readonly Recording[] {
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((server) =>
      readdirSync(`${root}${server.name}`)
        .filter((file) => file.endsWith('.http'))
        .map((file) => read(`${server.name}/${file.slice(0, -'.http'.length)}`)),
    );
}

function read(name: string): Recording {
  const raw = readFileSync(`${root}${name}.http`);
  const facts = JSON.parse(readFileSync(`${root}${name}.json`, 'utf8')) as {
    request: { line: string };
    status: number;
    reads_ms_bytes: [number, number][];
  };
  const head = raw.indexOf('\r\n\r\n');
  const headers = new Map(
    raw
      .subarray(0, head)
      .toString('latin1')
      .split('\r\n')
      .slice(1)
      .map((line): [string, string] => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
  );
  const chunked = headers.get('transfer-encoding') === 'chunked';
  const { ranges, whole } = chunked
    ? chunks(raw, head + 4)
    : plain(raw, head + 4, headers.get('content-length'));
  const pieces: Uint8Array[] = [];
  let from = 0;
  for (const [, bytes] of facts.reads_ms_bytes) {
    const to = from + bytes;
    const piece = Buffer.concat(
      ranges.map(([start, end]) => raw.subarray(Math.max(start, from), Math.min(end, to))),
    );
    if (piece.length > 0) pieces.push(new Uint8Array(piece));
    from = to;
  }
  return {
    name,
    asked: facts.request.line.replace(/ HTTP.*/, ''),
    status: facts.status,
    header: (key) => headers.get(key),
    body: new Uint8Array(Buffer.concat(ranges.map(([start, end]) => raw.subarray(start, end)))),
    reads: pieces,
    whole,
  };
}

type Ranges = { ranges: [number, number][]; whole: boolean };

function plain(raw: Buffer, start: number, length: string | undefined): Ranges {
  const whole = length === undefined || raw.length - start >= Number(length);
  return { ranges: [[start, raw.length]], whole };
}

function chunks(raw: Buffer, from: number): Ranges {
  const ranges: [number, number][] = [];
  let at = from;
  for (;;) {
    const line = raw.indexOf('\r\n', at);
    if (line < 0) return { ranges, whole: false };
    const size = Number.parseInt(raw.toString('latin1', at, line), 16);
    if (size === 0) return { ranges, whole: true };
    const start = line + 2;
    ranges.push([start, Math.min(start + size, raw.length)]);
    if (start + size > raw.length) return { ranges, whole: false };
    at = start + size + 2;
  }
}
