/** The gateway's port: who may connect, and for how long. */
import { isIP } from 'node:net';
import { z } from 'zod';
import { bytes, count, KiB, MiB, ms } from './scalars.ts';

/** An IP address, with or without the length of its network. */
function isRange(text: string): boolean {
  const [address, bits, ...more] = text.split('/');
  const version = isIP(address);
  if (version === 0 || more.length > 0 || address.includes('%')) return false;
  return (
    bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 6 ? 128 : 32))
  );
}

const file = (sentence: string) => z.string().min(1).optional().describe(sentence);
const passphrase = z.string().min(1).optional().describe('Opens the key, where it is encrypted.');

const sni = z.strictObject({
  serverName: z
    .string()
    .regex(/^(\*\.)?([A-Za-z0-9-]{1,63}\.)*[A-Za-z0-9-]{1,63}$/)
    .describe('Name that clients ask for; a star may stand for its first part.'),
  certFile: z.string().min(1).describe('Its certificate and chain, PEM.'),
  keyFile: file('Its private key, PEM; absent: in certFile.'),
  passphrase,
});

const tls = z.strictObject({
  certFile: file('Certificate and chain, PEM; set: the gateway speaks TLS (wss, https).'),
  keyFile: file('Private key, PEM; absent: in certFile.'),
  passphrase,
  caFile: file(
    'Certificates of authorities, PEM; set: a client must show a certificate of one of them (ws backend).',
  ),
  minVersion: z
    .enum(['TLSv1.2', 'TLSv1.3'])
    .default('TLSv1.2')
    .describe('Oldest version of TLS that is spoken.'),
  sni: z
    .array(sni)
    .max(256)
    .default([])
    .describe('Other certificates, for clients that ask for other names.'),
  watchMs: ms(60_000, 0, 86_400_000).describe(
    'How often the files are looked at for a change, about; 0: never.',
  ),
});

export const server = z.strictObject({
  host: z.string().min(1).default('127.0.0.1').describe('Address the gateway listens on.'),
  port: count(8080, 0, 65_535).describe('TCP port of the gateway; 0 picks a free one.'),
  backend: z
    .enum(['auto', 'uws', 'ws'])
    .default('auto')
    .describe(
      'WebSocket server: uWebSockets.js where it loads, otherwise ws; naming one insists on it.',
    ),
  reusePort: z
    .boolean()
    .default(false)
    .describe(
      'Share the port with other processes on purpose instead of failing when it is taken.',
    ),
  allowedHosts: z
    .array(z.string())
    .default([])
    .describe(
      'Host names served besides localhost, 127.0.0.1, [::1] and the bound address; "*" serves any.',
    ),
  allowedOrigins: z
    .array(z.string())
    .default([])
    .describe(
      'Origins of web pages that may connect, besides pages of an allowed host on the same port; "*" allows any.',
    ),
  tls: tls.prefault({}),
  proxyProtocol: z
    .enum(['off', 'optional', 'required'])
    .default('off')
    .describe(
      'Whether trusted proxies begin each connection with a PROXY header, version 1 or 2 (ws backend; uWebSockets.js, if insisted on, knows version 2 in the clear only); "required" refuses every connection without one.',
    ),
  trustedProxies: z
    .array(z.string().refine(isRange, 'an address, or a range such as 10.0.0.0/8'))
    .max(1_000)
    .default([])
    .describe(
      'Addresses and CIDR ranges of the proxies in front, which may say who their client is; nobody else is believed.',
    ),
  forwardedHeader: z
    .enum(['x-forwarded-for', 'forwarded'])
    .default('x-forwarded-for')
    .describe(
      'Header in which those proxies append their client; one that they pass on untouched must not be named here.',
    ),
  messageBytesMax: bytes(16 * MiB, 1 * KiB, 256 * MiB).describe(
    'Largest message a client may send, and largest body of an HTTP request for an answer.',
  ),
  sessionsMax: count(10_000, 1, 262_144).describe('Sessions open at once.'),
  sessionsPerAddressMax: count(1_000, 1, 262_144).describe(
    'Sessions one client address may hold; loopback addresses are not limited.',
  ),
  handshakesPerSecondMax: count(5_000, 1, 1_000_000).describe(
    'Upgrades, and HTTP requests for an answer, admitted per second.',
  ),
  authFailuresPerAddressMax: z
    .int()
    .min(1)
    .max(1_000_000)
    .optional()
    .describe(
      'Wrong keys and tickets one client address may show in a second before all of its requests are refused for the rest of it; absent: any number.',
    ),
  pingIntervalMs: ms(30_000, 100).describe(
    'A ping goes to every session that was silent for this long.',
  ),
  idleTimeoutMs: ms(60_000, 200).describe(
    'A session without any sign of life for this long is closed.',
  ),
  loopLagMsMax: ms(500, 20, 60_000).describe(
    'New turns are refused while the main thread, or the worker that would take them, is late by this much all the time; new connections while the main thread or every worker is.',
  ),
  shutdownTimeoutMs: ms(25_000).describe('Running streams may finish for this long after SIGTERM.'),
  page: z.boolean().default(false).describe('Serve the demo page at /.'),
});
