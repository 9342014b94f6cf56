/**
 * When a change of each option takes effect in a running engine: the one table. An option that is not named here does not pass
 * `npm run check`; a row for a group covers all of it.
 */

export const effects = ['now', 'new streams', 'new sessions', 'restart'] as const;
/** `restart`: a running engine refuses the change. Everything else it follows, without touching what is running. */
export type Effect = (typeof effects)[number];

const table: Readonly<Record<string, Effect>> = {
  'server.host': 'restart',
  'server.port': 'restart',
  'server.backend': 'restart',
  'server.reusePort': 'restart',
  'server.allowedHosts': 'now',
  'server.allowedOrigins': 'now',
  'server.tls': 'now',
  'server.tls.caFile': 'restart',
  'server.proxyProtocol': 'restart',
  'server.trustedProxies': 'now',
  'server.forwardedHeader': 'now',
  'server.messageBytesMax': 'restart',
  'server.sessionsMax': 'restart',
  'server.sessionsPerAddressMax': 'now',
  'server.handshakesPerSecondMax': 'now',
  'server.authFailuresPerAddressMax': 'now',
  'server.pingIntervalMs': 'now',
  'server.idleTimeoutMs': 'now',
  'server.loopLagMsMax': 'now',
  'server.shutdownTimeoutMs': 'now',
  'server.page': 'now',
  keys: 'now',
  paths: 'restart',
  tickets: 'now',
  'session.creditBytes': 'now',
  'session.queuedRequestsMax': 'new sessions',
  'session.runningRequestsMax': 'new sessions',
  'session.lanesMax': 'new sessions',
  'session.historyBytesMax': 'new sessions',
  'session.whenRevoked': 'now',
  'session.socketBytesMax': 'now',
  'session.slowClientTimeoutMs': 'now',
  stream: 'new streams',
  limits: 'now',
  'limits.keysMax': 'restart',
  'limits.exactRequestsMax': 'restart',
  chunks: 'new streams',
  'compression.enabled': 'new sessions',
  'compression.permessageDeflate': 'restart',
  compression: 'now',
  proxy: 'new sessions',
  routes: 'restart',
  hooks: 'restart',
  providers: 'restart',
  dialects: 'restart',
  upstreams: 'new streams',
  balance: 'now',
  pool: 'now',
  threads: 'restart',
  'memory.ringBytes': 'restart',
  'memory.slabBytes': 'restart',
  'memory.largeBodyBytes': 'restart',
  'memory.refuseAboveShare': 'now',
  'memory.retainedBytesMax': 'now',
  'memory.memoryBytesMax': 'now',
  'admin.enabled': 'restart',
  'admin.host': 'restart',
  'admin.port': 'restart',
  'admin.token': 'now',
  'log.level': 'now',
  'log.format': 'restart',
  'log.linesPerSecondMax': 'restart',
  'log.streams': 'now',
  'observe.propagate': 'new streams',
  'observe.eventsMax': 'restart',
  demo: 'restart',
};

/** Undefined: nobody has said it yet. */
export function effectOf(path: string): Effect | undefined {
  for (let at = path; ; ) {
    if (at in table) return table[at];
    const above = at.replace(/(\.[^.]*|\[\])$/, '');
    if (above === at) return undefined;
    at = above;
  }
}
