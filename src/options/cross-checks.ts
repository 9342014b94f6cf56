/** What must hold between options, and what the schema cannot see in one. */
import { dotted, type Path, type Problem } from './paths.ts';
import type { Options } from './schema.ts';

/** Pairs of which the first must be more than the second, or it strikes before the other had its chance. */
const ordered = [
  // Otherwise a silent client is closed before it was ever asked.
  ['server', 'idleTimeoutMs', 'pingIntervalMs'],
  // Otherwise a healthy thread is replaced between two signs of life.
  ['threads', 'hungAfterMs', 'heartbeatMs'],
] as const;

export function crossChecks(options: Options): Problem[] {
  const problems: Problem[] = [...duplicates(options)];
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

/** Names and paths that are there twice. */
function duplicates(options: Options): Problem[] {
  const names = options.upstreams.map(({ name }, index) => [['upstreams', index, 'name'], name]);
  const keys = options.keys.flatMap((key, index) =>
    typeof key === 'string' ? [] : [[['keys', index, 'name'], key.name]],
  );
  const secrets = options.keys.map((key, index) =>
    typeof key === 'string' ? [['keys', index], key] : [['keys', index, 'key'], key.key],
  );
  const paths = [
    ...Object.entries(options.paths).map(([key, path]) => [['paths', key], path]),
    [['tickets', 'path'], options.tickets.path],
  ];
  return [names, keys, secrets, paths].flatMap((group) => {
    const first = new Map<string, Path>();
    return (group as [Path, string][]).flatMap(([path, got]) => {
      const taken = first.get(got);
      if (taken === undefined) first.set(got, path);
      return taken === undefined ? [] : [{ path, text: `must differ from ${dotted(taken)}`, got }];
    });
  });
}
