/** What must hold between options, and what the schema cannot see in one. */
import { limitChecks } from './limit-checks.ts';
import {
  dialectNames,
  EVENT_SOCKET_PROVIDER,
  providerNames,
  SOCKET_PROVIDER,
  textDialectNames,
} from './names.ts';
import { nearest } from './nearest.ts';
import { dotted, type Path, type Problem } from './paths.ts';
import type { Options } from './schema.ts';

/** Pairs of which the first must be more than the second, or it strikes before the other had its chance. */
const ordered = [
  // Otherwise a silent client is closed before it was ever asked.
  ['server', 'idleTimeoutMs', 'pingIntervalMs'],
  // Otherwise a healthy thread is replaced between two signs of life.
  ['threads', 'hungAfterMs', 'heartbeatMs'],
  // Otherwise a pool would grow and shrink at the same load.
  ['pool', 'scaleUpThreshold', 'scaleDownThreshold'],
] as const;

export function crossChecks(options: Options): Problem[] {
  const problems: Problem[] = [
    ...duplicates(options),
    ...unknownProviders(options),
    ...unknownChunks(options),
    ...ports(options),
    ...backEnds(options),
    ...limitChecks(options),
  ];
  for (const [index, { url }] of options.upstreams.entries()) {
    const { username, password } = new URL(url);
    if (username === '' && password === '') continue;
    // The URL stands in logs and in the status; a key does not.
    const text = 'must not hold a user or password; use apiKey';
    problems.push({ path: ['upstreams', index, 'url'], text });
  }
  for (const [group, more, less] of ordered) {
    const values: Readonly<Record<string, unknown>> = options[group];
    const [got, least] = [Number(values[more]), Number(values[less])];
    if (got > least) continue;
    const text = `must be more than ${group}.${less} (${least})`;
    problems.push({ path: [group, more], text, got });
  }
  return problems;
}

/** Two listeners cannot share a port of one host. */
function ports({ server, admin }: Options): Problem[] {
  const any = (host: string) => host === '0.0.0.0' || host === '::' || host === '[::]';
  const meet = server.host === admin.host || any(server.host) || any(admin.host);
  if (!admin.enabled || admin.port === 0 || admin.port !== server.port || !meet) return [];
  return [{ path: ['admin', 'port'], text: 'must differ from server.port', got: admin.port }];
}

/** A WebSocket back end is no HTTP upstream, nor the other way round. */
function backEnds({ upstreams, proxy, memory }: Options): Problem[] {
  const problems = upstreams.flatMap((upstream, index): Problem[] => {
    const { provider, url, models, reuse, healthPath, healthCheck, resume, continuesById } =
      upstream;
    const isSocket = provider === SOCKET_PROVIDER;
    const wrong = (key: string, text: string, got: unknown): Problem => ({
      path: ['upstreams', index, key],
      text,
      got,
    });
    const found: Problem[] = [];
    const isEvents = provider === EVENT_SOCKET_PROVIDER && /^wss?:/.test(url);
    if (isEvents && resume !== 'none')
      found.push(wrong('resume', 'needs a URL with http:// or https://', resume));
    if (continuesById && !isEvents) {
      const text = 'needs the provider openai-responses and a URL with ws:// or wss://';
      found.push(wrong('continuesById', text, continuesById));
    }
    if (!isEvents && isSocket !== /^wss?:/.test(url)) {
      const text = isSocket
        ? 'must begin with ws:// or wss:// for the provider websocket'
        : 'must begin with http:// or https:// (ws:// and wss:// are for the providers websocket and openai-responses)';
      found.push(wrong('url', text, url));
    }
    if (isSocket && models.length > 0)
      found.push(wrong('models', 'must be empty for the provider websocket', models));
    if (!isSocket && healthCheck === 'ping')
      found.push(wrong('healthCheck', 'ping is for the provider websocket only', healthCheck));
    if (healthCheck === 'http' && healthPath === undefined)
      found.push(wrong('healthCheck', 'http needs healthPath', healthCheck));
    if (healthCheck === 'tls' && !/^(https|wss):/.test(url))
      found.push(wrong('healthCheck', 'tls needs a URL with https:// or wss://', healthCheck));
    if (!isSocket && reuse) found.push(wrong('reuse', 'is for the provider websocket only', reuse));
    return found;
  });
  const any = upstreams.some(({ provider }) => provider === SOCKET_PROVIDER);
  // A message that finds no space in the slab, ever, would wait for ever.
  if (any && proxy.messageBytesMax >= memory.slabBytes) {
    const text = `must be less than memory.slabBytes (${memory.slabBytes})`;
    problems.push({ path: ['proxy', 'messageBytesMax'], text, got: proxy.messageBytesMax });
  }
  return problems;
}

/** A provider is one of ours or one of the user's; neither may stand for the other. */
function unknownProviders(options: Options): Problem[] {
  const own = Object.keys(options.providers);
  const known = [...new Set([...providerNames, SOCKET_PROVIDER, ...own])];
  const unknown = options.upstreams.flatMap(({ provider }, index): Problem[] => {
    if (known.includes(provider)) return [];
    const meant = nearest(provider, known);
    const hint = meant === undefined ? {} : { hint: `did you mean ${meant}?` };
    const text = `must be one of ${known.join(', ')}`;
    return [{ path: ['upstreams', index, 'provider'], text, got: provider, ...hint }];
  });
  const taken = (group: string, names: readonly string[], ours: readonly string[]) =>
    names
      .filter((name) => ours.includes(name))
      .map((name) => ({ path: [group, name], text: 'is a name of millrace; choose another' }));
  const dialects = Object.keys(options.dialects);
  return [
    ...unknown,
    ...taken('providers', own, [...providerNames, SOCKET_PROVIDER]),
    ...taken('dialects', dialects, dialectNames),
  ];
}

/** Pieces of text are cut for protocols that have any. */
function unknownChunks({ chunks, dialects }: Options): Problem[] {
  const known = [...textDialectNames, ...Object.keys(dialects)];
  return Object.keys(chunks)
    .filter((name) => !known.includes(name))
    .map((name) => {
      const meant = nearest(name, known);
      const hint = meant === undefined ? {} : { hint: `did you mean ${meant}?` };
      return { path: ['chunks', name], text: `must be one of ${known.join(', ')}`, ...hint };
    });
}

/** Names and paths that are there twice. */
function duplicates(options: Options): Problem[] {
  const names = options.upstreams.map(({ name }, index) => [['upstreams', index, 'name'], name]);
  const tiers = options.limits.tiers.map(({ name }, index) => [
    ['limits', 'tiers', index, 'name'],
    name,
  ]);
  const keys = options.keys.flatMap((key, index) =>
    typeof key === 'string' ? [] : [[['keys', index, 'name'], key.name]],
  );
  const secrets = options.keys.map((key, index) =>
    typeof key === 'string' ? [['keys', index], key] : [['keys', index, 'key'], key.key],
  );
  const paths = [
    ...Object.entries(options.paths).map(([key, path]) => [['paths', key], path]),
    [['tickets', 'path'], options.tickets.path],
    ...options.routes.map(({ path }, index) => [['routes', index, 'path'], path]),
    ...Object.entries(options.dialects).map(([key, { path }]) => [['dialects', key, 'path'], path]),
  ];
  return [names, tiers, keys, secrets, paths].flatMap((group) => {
    const first = new Map<string, Path>();
    return (group as [Path, string][]).flatMap(([path, got]) => {
      const taken = first.get(got);
      if (taken === undefined) first.set(got, path);
      return taken === undefined ? [] : [{ path, text: `must differ from ${dotted(taken)}`, got }];
    });
  });
}
