import type { Socket } from 'node:net';

/**
 * Breaks a connection with a reset. One that is already being ended is only destroyed: libuv refuses to reset a socket in shutdown, Node forgets it nevertheless, and
 * the thread or process would spin at its end, waiting for a handle that nobody closes.
 */
export function resetSocket(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
