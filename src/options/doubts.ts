/** What is allowed and most likely not meant: warnings of check-config, doctor and serve. */
import { providerNames } from './names.ts';
import type { Problem } from './paths.ts';
import type { Options } from './schema.ts';

export function doubts(options: Options): Problem[] {
  return [
    ...reach(options),
    ...options.upstreams.flatMap(upstream),
    ...resumes(options),
    ...clocks(options),
  ];
}

const loopback = /^(localhost|127(\.\d+){3}|::1|\[::1\])$/;
const isLocal = (host: string) => loopback.test(host);

/** Who can come in. */
function reach({ server, keys, admin }: Options): Problem[] {
  const found: Problem[] = [];
  if (keys.length === 0 && !isLocal(server.host)) {
    const text = `asks for no key, and server.host (${server.host}) is reachable from elsewhere: whoever comes is served`;
    found.push({ path: ['keys'], text });
  }
  if (admin.enabled && !isLocal(admin.host)) {
    const text = `(${admin.host}) is reachable from elsewhere, and metrics and status ask for no key`;
    found.push({ path: ['admin', 'host'], text });
  }
  return found;
}

function upstream({ url, apiKey }: Options['upstreams'][number], index: number): Problem[] {
  const found: Problem[] = [];
  const { protocol, hostname, pathname } = new URL(url);
  const ending = /\/(chat\/completions|responses|messages)\/?$/.exec(pathname)?.[0];
  if (ending !== undefined) {
    const text = `ends in ${ending}, which millrace adds by itself; say the part before it`;
    found.push({ path: ['upstreams', index, 'url'], text });
  }
  if (apiKey !== undefined && protocol === 'http:' && !isLocal(hostname)) {
    const text = 'sends its apiKey without encryption; https:// hides it on the way';
    found.push({ path: ['upstreams', index, 'url'], text });
  }
  if (apiKey !== undefined && /^bearer\s/i.test(apiKey)) {
    const text = 'begins with "Bearer", which millrace adds by itself';
    found.push({ path: ['upstreams', index, 'apiKey'], text });
  }
  return found;
}

/** Our own providers resume in the ways they know; what one of the user's knows, it says itself. */
const resumesOf: Readonly<Record<string, readonly string[]>> = {
  'openai-chat': ['llama'],
  'openai-responses': ['background'],
};

function resumes({ upstreams }: Options): Problem[] {
  return upstreams.flatMap(({ provider, resume }, index): Problem[] => {
    const isOurs = (providerNames as readonly string[]).includes(provider);
    if (resume === 'none' || !isOurs || resumesOf[provider]?.includes(resume)) return [];
    const text = `(${resume}) does nothing: ${provider} does not know it`;
    return [{ path: ['upstreams', index, 'resume'], text }];
  });
}

/** Clocks that never strike, because another does before. */
function clocks({ stream, balance }: Options): Problem[] {
  const found: Problem[] = [];
  if (stream.firstDeltaTimeoutMs > stream.deadlineMs) {
    const text = `(${stream.firstDeltaTimeoutMs}) never strikes: stream.deadlineMs (${stream.deadlineMs}) does before`;
    found.push({ path: ['stream', 'firstDeltaTimeoutMs'], text });
  }
  if (balance.healthTimeoutMs > balance.healthCheckIntervalMs) {
    const text = `(${balance.healthTimeoutMs}) is more than balance.healthCheckIntervalMs (${balance.healthCheckIntervalMs}): probes of one upstream would wait for one another`;
    found.push({ path: ['balance', 'healthTimeoutMs'], text });
  }
  return found;
}
