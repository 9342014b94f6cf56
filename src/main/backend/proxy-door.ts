/**
 * In front of node:http: connections of trusted proxies begin with a PROXY header, which is taken off before anybody else reads. Everybody else's
 * bytes go on as they are, so that a stranger's header is the malformed request it looks like; where a header is required, strangers are refused.
 */
import type { Socket } from 'node:net';
import type { ProxyPeers } from './backend.ts';
import { addressText } from './handshake.ts';
import { parseProxyHeader } from './proxy-header.ts';

/** A proxy writes its header at once; whoever does not, holds a connection for nothing. */
export const HEADER_WAIT_MS = 3_000;

/** Whose a socket really is; by the socket that the request will show, which over TLS is another one. */
const sources = new WeakMap<object, string>();

/** The client's address, if a proxy said so; otherwise the peer's. */
export function addressOf(socket: { readonly remoteAddress?: string | undefined }): string {
  return sources.get(socket) ?? addressText(socket.remoteAddress ?? '');
}

/** The outer socket's source, for the TLS socket made over it. */
export function inherit(outer: object, inner: object): void {
  const source = sources.get(outer);
  if (source !== undefined) sources.set(inner, source);
}

/** Calls `go` once the header is off, with nothing read that is not given back. Otherwise the connection is dropped. */
export function takeProxyHeader(socket: Socket, peers: ProxyPeers, go: () => void): void {
  if (!peers.trusts(addressText(socket.remoteAddress ?? ''))) {
    if (peers.required) socket.destroy();
    else go();
    return;
  }
  let seen = Buffer.alloc(0);
  const drop = () => socket.destroy();
  const timer = setTimeout(drop, HEADER_WAIT_MS);
  const stop = () => clearTimeout(timer);
  const proceed = (taken: number) => {
    stop();
    socket.pause();
    socket.off('data', read);
    socket.off('close', stop);
    socket.off('error', drop);
    if (seen.length > taken) socket.unshift(seen.subarray(taken));
    go();
  };
  const read = (chunk: Buffer) => {
    seen = Buffer.concat([seen, chunk]);
    const header = parseProxyHeader(seen);
    if (header.kind === 'more') return;
    if (header.kind === 'header') {
      if (header.source !== undefined) sources.set(socket, header.source);
      proceed(header.bytes);
    } else if (header.kind === 'none' && !peers.required) proceed(0);
    else drop();
  };
  socket.on('error', drop);
  socket.on('close', stop);
  socket.on('data', read);
}
