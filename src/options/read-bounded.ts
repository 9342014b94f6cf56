/** Reads small files that an operator names, and says in words why one cannot be read. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

export interface SmallFile {
  readonly bytes: Buffer;
  /** Permission bits. */
  readonly mode: number;
}

/** @throws Error with a reason to be read after "cannot read …:". Never reads more than the bound, from devices and pipes neither. */
export function readBounded(file: string, bytesMax: number): SmallFile {
  let opened: number | undefined;
  try {
    opened = openSync(file, 'r');
    const { mode } = fstatSync(opened);
    const into = Buffer.alloc(bytesMax + 1);
    let length = 0;
    while (length <= bytesMax) {
      const read = readSync(opened, into, length, into.length - length, null);
      if (read === 0) break;
      length += read;
    }
    if (length > bytesMax) throw new Error(`it has more than ${bytesMax} bytes`);
    return { bytes: into.subarray(0, length), mode };
  } catch (error) {
    throw new Error(reasonOf(error as NodeJS.ErrnoException), { cause: error });
  } finally {
    if (opened !== undefined) closeSync(opened);
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'a part of its path is no folder',
  EACCES: 'this user may not read it',
  EPERM: 'this user may not read it',
  EISDIR: 'it is a folder',
  ELOOP: 'its links lead in a circle',
  ENAMETOOLONG: 'its name is too long',
  ERR_INVALID_ARG_VALUE: 'its name holds a NUL character',
};

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  return reasons[code ?? ''] ?? message;
}

/** Bytes as UTF-8 text without its byte order mark. @throws Error with the reason. */
export function textOf(bytes: Buffer): string {
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    throw new Error('it is UTF-16; save it as UTF-8');
  }
  if (bytes.includes(0)) throw new Error('it is not a text file (it holds a NUL byte)');
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Error('it is not a UTF-8 text file');
  }
}
