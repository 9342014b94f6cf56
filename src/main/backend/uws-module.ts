/** The part of uWebSockets.js that millrace calls, and how its native file is found. Typed here because every build ships other typings. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

export interface UwsModule {
  App(): UwsApp;
  /** Throws without a reason when it does not like what is in the files. */
  SSLApp(options: UwsTlsOptions): UwsApp;
  us_listen_socket_close(socket: object): void;
  us_socket_local_port(socket: object): number;
  readonly LIBUS_LISTEN_EXCLUSIVE_PORT: number;
  readonly DISABLED: number;
  readonly SHARED_COMPRESSOR: number;
  readonly SHARED_DECOMPRESSOR: number;
  /** Named after what they take; their windows are an eighth of it. */
  readonly DEDICATED_COMPRESSOR_8KB: number;
  readonly DEDICATED_COMPRESSOR_16KB: number;
  readonly DEDICATED_COMPRESSOR_32KB: number;
}

export interface UwsApp {
  ws(pattern: string, behavior: UwsBehavior): UwsApp;
  any(pattern: string, handler: (res: UwsResponse, req: UwsRequest) => void): UwsApp;
  listen(
    host: string,
    port: number,
    options: number,
    done: (socket: object | false) => void,
  ): UwsApp;
  close(): void;
  /** A certificate for clients that ask for this name, which may begin with a star; its routes are put on it after `domain`. */
  addServerName(name: string, options: UwsTlsOptions): UwsApp;
  domain(name: string): UwsApp;
  /** Since core 20.49 or so; its absence marks the cores that lose payloads (uws.ts). */
  filter?: unknown;
}

export interface UwsTlsOptions {
  readonly cert_file_name: string;
  readonly key_file_name: string;
  readonly passphrase?: string;
  readonly ssl_ciphers?: string;
}

export interface UwsBehavior {
  readonly compression: number;
  readonly maxPayloadLength: number;
  readonly maxBackpressure: number;
  readonly closeOnBackpressureLimit: boolean;
  readonly idleTimeout: number;
  readonly sendPingsAutomatically: boolean;
  upgrade(res: UwsResponse, req: UwsRequest, context: object): void;
  open(socket: UwsSocket): void;
  message(socket: UwsSocket, message: ArrayBuffer, binary: boolean): void;
  drain(socket: UwsSocket): void;
  ping(socket: UwsSocket): void;
  pong(socket: UwsSocket): void;
  close(socket: UwsSocket, code: number, message: ArrayBuffer): void;
}

export interface UwsSocket {
  /** 0 = queued, 1 = sent, 2 = dropped. */
  send(message: Uint8Array, binary: boolean, compress: boolean): number;
  getBufferedAmount(): number;
  cork(write: () => void): void;
  ping(): number;
  end(code: number, reason: string): void;
  close(): void;
  getUserData(): UwsUserData;
}

/** What the upgrade attaches to a socket. */
export interface UwsUserData {
  ticket: object;
}

export interface UwsRequest {
  getMethod(): string;
  getUrl(): string;
  getQuery(): string | undefined;
  forEach(each: (name: string, value: string) => void): void;
}

export interface UwsResponse {
  writeStatus(status: string): UwsResponse;
  writeHeader(name: string, value: string): UwsResponse;
  /** One chunk. False: some of it waits. */
  write(chunk: Uint8Array): boolean;
  end(body?: string | Uint8Array, closeConnection?: boolean): UwsResponse;
  endWithoutBody?(length?: number, closeConnection?: boolean): UwsResponse;
  tryEnd(rest: Uint8Array, total: number, closeConnection?: boolean): [ok: boolean, done: boolean];
  onWritable(handler: (offset: number) => boolean): UwsResponse;
  onAborted(handler: () => void): UwsResponse;
  onData(handler: (chunk: ArrayBuffer, last: boolean) => void): UwsResponse;
  upgrade(
    data: UwsUserData,
    key: string,
    protocol: string,
    extensions: string,
    context: object,
  ): void;
  cork(write: () => void): void;
  close(): void;
  getRemoteAddressAsText(): ArrayBuffer;
  /** What a PROXY header of version 2 said, as bytes; empty: none came, or it said nothing. */
  getProxiedRemoteAddress(): ArrayBuffer;
  getProxiedRemoteAddressAsText(): ArrayBuffer;
}

/** Is this what an embedder would pass as `uws`? A default export is looked through. */
export function asUwsModule(value: unknown): UwsModule | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if ('App' in value && typeof value.App === 'function') return value as UwsModule;
  return 'default' in value ? asUwsModule(value.default) : undefined;
}

export interface LoadedUws {
  readonly module: UwsModule;
  readonly version: string;
}

/**
 * The native file of a package that carries one per platform and ABI, without the package's own script: that of an unofficial build falls
 * back to something else silently. `from`: the file whose `require` finds the package. Throws what the loader says.
 */
export function loadNative(packageName: string, from: string): LoadedUws {
  const require = createRequire(from);
  const root = packageRoot(require, packageName);
  const { version } = require(join(root, 'package.json')) as { version: string };
  const file = `uws_${process.platform}_${process.arch}_${process.versions.modules}.node`;
  const path = [root, join(root, 'dist'), join(root, 'binaries')]
    .map((folder) => join(folder, file))
    .find((candidate) => existsSync(candidate));
  if (path === undefined) throw new Error(`${packageName} ${version} has no ${file}`);
  const module = asUwsModule(require(path));
  if (module === undefined) throw new Error(`${packageName} ${version} exports no App`);
  return { module, version: version.split('-')[0] };
}

/** `require.resolve` of the entry, then upwards: a package may hide its package.json behind `exports`. */
function packageRoot(require: NodeJS.Require, packageName: string): string {
  let folder = dirname(require.resolve(packageName));
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder)
    folder = dirname(folder);
  return folder;
}
