/**
 * Everything a user may say: the only place. Types, checks, environment names, flags, docs/OPTIONS.md and --help follow
 * from it. One sentence per option, in `describe`. Evaluated once, on main; the resolved object is frozen, plain and goes to
 * every thread.
 */
import { z } from 'zod';
import { providerNames, strategyNames } from './names.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

const ms = (fallback: number, min = 0, max = 2 ** 31 - 1) =>
  z.int().min(min).max(max).default(fallback);
const count = (fallback: number, min: number, max: number) =>
  z.int().min(min).max(max).default(fallback);
const bytes = (fallback: number, min: number, max: number) =>
  z.int().min(min).max(max).default(fallback);

const server = z.strictObject({
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
  messageBytesMax: bytes(16 * MiB, 1 * KiB, 256 * MiB).describe(
    'Largest message a client may send.',
  ),
  sessionsMax: count(10_000, 1, 262_144).describe('Sessions open at once.'),
  sessionsPerAddressMax: count(1_000, 1, 262_144).describe(
    'Sessions one client address may hold; loopback addresses are not limited.',
  ),
  handshakesPerSecondMax: count(5_000, 1, 1_000_000).describe('Upgrades admitted per second.'),
  pingIntervalMs: ms(30_000, 100).describe(
    'A ping goes to every session that was silent for this long.',
  ),
  idleTimeoutMs: ms(60_000, 200).describe(
    'A session without any sign of life for this long is closed.',
  ),
  shutdownTimeoutMs: ms(25_000).describe('Running streams may finish for this long after SIGTERM.'),
  page: z.boolean().default(false).describe('Serve the demo page at /.'),
});

const keys = z
  .array(z.string().min(1))
  .default([])
  .describe('API keys that clients may use; none means that no key is asked for.');

const session = z.strictObject({
  creditBytes: bytes(256 * KiB, 16 * KiB, 64 * MiB).describe(
    'Bytes a session may leave unread (in our queues) before its upstreams are paused.',
  ),
  queuedRequestsMax: count(64, 1, 65_536).describe('Requests that may wait on one session.'),
  runningRequestsMax: count(16, 1, 65_536).describe('Requests that run at once on one session.'),
  lanesMax: count(32, 1, 65_536).describe(
    'Named lanes (stream_id) one session may use in its life.',
  ),
  historyBytesMax: bytes(4 * MiB, 0, 1024 * MiB).describe(
    'Bytes of finished turns a lane remembers for previous_response_id.',
  ),
  slowClientTimeoutMs: ms(30_000, 100).describe(
    'A client that reads nothing for this long while frames wait is closed with 1013.',
  ),
});

const stream = z.strictObject({
  connectTimeoutMs: ms(5_000, 1).describe(
    'Time until an upstream has accepted the connection and answered with headers.',
  ),
  headersTimeoutMs: ms(60_000, 1).describe('Time until the response headers, once connected.'),
  firstDeltaTimeoutMs: ms(60_000, 1).describe(
    'Time until the first delta of an answer, per attempt.',
  ),
  gapTimeoutMs: ms(30_000, 1).describe('Longest silence between two pieces of an answer.'),
  finishGraceMs: ms(1_000, 0).describe(
    'How long usage and the end marker may come after the finish reason.',
  ),
  deadlineMs: ms(120_000, 1).describe(
    'All attempts before the first delta must fit into this time.',
  ),
  maxRetries: count(3, 0, 100).describe(
    'Further attempts after the first, before the first delta.',
  ),
  retryDelayMs: ms(100).describe(
    'Base of the jittered wait before the same upstream is tried again.',
  ),
  retriesRunningMax: count(3, 0, 65_536).describe(
    'Floor of the retry budget: this many retries may always run at once.',
  ),
  retriesRunningShare: z
    .number()
    .min(0)
    .max(1)
    .default(0.2)
    .describe('Share of the running streams that may be retries, above the floor.'),
  eventBytesMax: bytes(1 * MiB, 1 * KiB, 64 * MiB).describe(
    'Largest single event an upstream may send.',
  ),
  outputBytesMax: bytes(16 * MiB, 1 * KiB, 256 * MiB).describe('Largest answer.'),
  openerHoldMs: ms(0, 0, 60_000).describe(
    'Holds openers (response.created …) back until content arrives, at most this long; 0 sends them at once.',
  ),
});

const upstream = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,64}$/)
    .describe('Name in logs, metrics and errors.'),
  provider: z.enum(providerNames).default('openai-chat').describe('Wire protocol of the upstream.'),
  url: z.url({ protocol: /^https?$/ }).describe('Base URL, up to and including /v1.'),
  apiKey: z.string().optional().describe('Key sent as Authorization: Bearer.'),
  models: z
    .array(z.string().min(1))
    .default([])
    .describe('Models it serves; none means every model that no other upstream names.'),
  weight: count(1, 1, 65_535).describe('Relative share for weighted strategies.'),
  maxConnections: count(50, 1, 65_536).describe('Streams at once, over all workers.'),
  healthPath: z
    .string()
    .startsWith('/')
    .optional()
    .describe('Path probed with GET, from the origin; absent: a TCP connection is enough.'),
});

const balance = z.strictObject({
  loadBalanceStrategy: z
    .enum(strategyNames)
    .default('RoundRobin')
    .describe('How an upstream is chosen.'),
  healthCheckIntervalMs: ms(5_000, 50).describe('Time between two health probes of an upstream.'),
  healthTimeoutMs: ms(2_000, 10).describe('A probe fails after this time.'),
  fall: count(3, 1, 100).describe('Failed probes in a row that take an upstream out.'),
  rise: count(2, 1, 100).describe('Good probes in a row that bring it back.'),
});

const threads = z.strictObject({
  workers: z
    .int()
    .min(1)
    .max(64)
    .optional()
    .describe('Worker threads; absent: min(8, CPU quota or cores − 1), at least 1.'),
  jobThreadsMax: count(2, 1, 16).describe('Threads of the jobs pool (large one-shot work).'),
  heartbeatMs: ms(1_000, 5, 10_000).describe('How often a thread shows that it lives.'),
  hungAfterMs: ms(5_000, 50).describe(
    'A thread without a heartbeat for this long is retired and replaced.',
  ),
  startTimeoutMs: ms(10_000, 100).describe('A thread must be ready after this time.'),
});

const memory = z.strictObject({
  ringBytes: bytes(1 * MiB, 64 * KiB, 64 * MiB)
    .describe('Capacity of each ring between main and a worker; a power of two.')
    .refine((n) => (n & (n - 1)) === 0, 'a power of two'),
  slabBytes: bytes(64 * MiB, 1 * MiB, 1024 * MiB).describe(
    'Shared slab for payloads too large for a ring; pages are touched only when used.',
  ),
  largeBodyBytes: bytes(64 * KiB, 1 * KiB, 16 * MiB).describe(
    'Client messages above this are parsed on the jobs pool.',
  ),
  retainedBytesMax: bytes(64 * MiB, 64 * KiB, 4096 * MiB).describe(
    'Bytes of uncommitted requests that main keeps, so that they can run again when a worker dies.',
  ),
  memoryBytesMax: bytes(1024 * MiB, 16 * MiB, 2 ** 40).describe(
    'All bytes held for clients (rings, outboxes, history, retained requests).',
  ),
});

const admin = z.strictObject({
  enabled: z.boolean().default(true).describe('Serve health, readiness, metrics and status.'),
  host: z.string().min(1).default('127.0.0.1').describe('Address of the admin port.'),
  port: count(9090, 0, 65_535).describe('TCP port of the admin endpoints; 0 picks a free one.'),
  token: z
    .string()
    .min(8)
    .optional()
    .describe(
      'Required as Authorization: Bearer for actions such as draining an upstream; without it actions are refused.',
    ),
});

const log = z.strictObject({
  level: z
    .enum(['silent', 'error', 'warn', 'info', 'debug'])
    .default('info')
    .describe('Least severe lines that are written.'),
  streams: z.boolean().default(true).describe('Write one line for every finished stream.'),
});

const paths = z.strictObject({
  responses: z
    .string()
    .startsWith('/')
    .default('/v1/responses')
    .describe('Path of the OpenAI Responses WebSocket mode.'),
  chat: z
    .string()
    .startsWith('/')
    .default('/chat')
    .describe('Path of the plain JSON chat for hand-written pages.'),
  echo: z.string().startsWith('/').default('/ws').describe('Path of the echo.'),
});

const demo = z.strictObject({
  enabled: z
    .boolean()
    .default(false)
    .describe('Run two simulated upstreams that serve the model "demo", and the page.'),
  seed: count(1, 0, 2 ** 31 - 1).describe('Seed of the simulated answers.'),
  tokensPerSecond: z
    .number()
    .min(0.1)
    .max(100_000)
    .default(60)
    .describe('Mean speed of a simulated answer.'),
  firstTokenMs: ms(150).describe('Mean time to a simulated first token.'),
});

export const schema = z.strictObject({
  server: server.prefault({}),
  keys,
  paths: paths.prefault({}),
  session: session.prefault({}),
  stream: stream.prefault({}),
  upstreams: z.array(upstream).max(64).default([]).describe('Where answers come from.'),
  balance: balance.prefault({}),
  threads: threads.prefault({}),
  memory: memory.prefault({}),
  admin: admin.prefault({}),
  log: log.prefault({}),
  demo: demo.prefault({}),
});

/** What a user may write. */
export type UserOptions = z.input<typeof schema>;
/** What every thread gets: all defaults filled in, frozen. */
export type Options = z.output<typeof schema>;
export type UpstreamOptions = Options['upstreams'][number];
