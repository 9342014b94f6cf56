/** Resets of sockets, whatever state they are in; and that the process can end afterwards. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

const program = (state: string) => `
import net from 'node:net';
import { resetSocket } from '${new URL('../../../src/simulate/reset-socket.js', import.meta.url).href}';
const server = net.createServer((socket) => {
  socket.on('error', (error) => console.log(error.code));
  ${state}
  resetSocket(socket);
  server.close();
}).listen(0, '127.0.0.1', () => {
  const peer = net.connect(server.address().port, '127.0.0.1');
  peer.on('error', (error) => console.log('peer', error.code)).on('close', () => console.log('closed')).resume();
});`;

for (const [state, said] of [
  ['', 'peer ECONNRESET\nclosed\n'],
  ["socket.end('x');", 'closed\n'],
] as const) {
  test(`a reset of a socket${state ? ' that is being ended' : ''}: the peer sees it closed, and the process ends`, async () => {
    const args = ['--input-type=module', '-e', program(state)];
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 20_000 });
    assert.match(stdout, new RegExp(`${said}$`));
  });
}
