/**
 * Opens connections and throws away what comes: node dist/bench/support/peers/deflating-client.js PORT CONNECTIONS OFFERS. With OFFERS = 1 it offers
 * permessage-deflate. Prints "open" once all handshakes are answered; ends with its standard input.
 */
import { connect } from 'node:net';

const [port, connections, offers] = process.argv.slice(2).map(Number);
const lines = [
  'GET / HTTP/1.1',
  `Host: 127.0.0.1:${port}`,
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
  ...(offers === 1 ? ['Sec-WebSocket-Extensions: permessage-deflate'] : []),
  '',
  '',
];
let answered = 0;
for (let at = 0; at < connections; at++) {
  const socket = connect(port, '127.0.0.1', () => socket.write(lines.join('\r\n')));
  socket.once('data', () => {
    answered += 1;
    if (answered === connections) process.stdout.write('open\n');
  });
  socket.on('data', () => {});
  socket.on('error', () => process.exit(1));
}
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
