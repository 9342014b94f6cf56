/** What must hold of limits, and what the schema cannot see in one option. */
import { nearest } from './nearest.ts';
import type { Path, Problem } from './paths.ts';
import type { Options } from './schema.ts';

type Limits = Options['limits'];
type Rule = NonNullable<Limits['perKey'] | Limits['perSession']>;

/** A sliding window counts in 20 bits (policy/limit/sliding-window.ts). */
const WINDOW_REQUESTS_MAX = 2 ** 20 - 1;
/** As long as clients wait for an answer (the openai SDK's default). */
const PACED_MS_MAX = 600_000;

export function limitChecks(options: Options): Problem[] {
  const { limits } = options;
  const problems = rulesOf(limits).flatMap(([path, rule]) => {
    const wrong = (key: string, text: string, got: unknown): Problem[] => [
      { path: ['limits', ...path, key], text, got },
    ];
    return [...windows(limits, rule, wrong), ...pacing(rule, wrong)];
  });
  return [...problems, ...unknownTiers(options)];
}

function rulesOf(limits: Limits): [Path, Rule][] {
  const names = [
    'global',
    'perKey',
    'perAddress',
    'perSession',
    'perModel',
    'perUpstream',
  ] as const;
  const all: [Path, Rule | undefined][] = [
    ...names.map((name): [Path, Rule | undefined] => [[name], limits[name]]),
    ...limits.tiers.map(({ perKey }, at): [Path, Rule | undefined] => [
      ['tiers', at, 'perKey'],
      perKey,
    ]),
  ];
  return all.flatMap(([path, rule]): [Path, Rule][] => (rule ? [[path, rule]] : []));
}

type Wrong = (key: string, text: string, got: unknown) => Problem[];

function windows({ exactRequestsMax }: Limits, rule: Rule, wrong: Wrong): Problem[] {
  const { algorithm, maxRequestsPerSecond, windowSizeMs, maxBurst = 0, exact } = rule;
  if (algorithm !== 'SlidingWindow')
    return exact ? wrong('exact', 'is for SlidingWindow only', algorithm) : [];
  const whole = Math.floor((maxRequestsPerSecond * windowSizeMs) / 1_000 + 1e-9);
  const got = Math.max(1, whole) + maxBurst;
  if (exact && got > exactRequestsMax) {
    const text = `needs windows of at most limits.exactRequestsMax (${exactRequestsMax}) requests`;
    return wrong('exact', text, got);
  }
  if (got <= WINDOW_REQUESTS_MAX) return [];
  return wrong('windowSizeMs', `must make windows of at most ${WINDOW_REQUESTS_MAX} requests`, got);
}

function pacing(rule: Rule, wrong: Wrong): Problem[] {
  if (!('paced' in rule) || !rule.paced) return [];
  const { algorithm, maxBurst = 0, maxRequestsPerSecond } = rule;
  if (algorithm !== 'LeakyBucket') return wrong('paced', 'is for LeakyBucket only', algorithm);
  if (maxBurst < 2)
    return wrong('maxBurst', 'must be at least 2 where requests are paced', maxBurst);
  const lastMs = ((maxBurst - 1) * 1_000) / maxRequestsPerSecond;
  if (lastMs <= PACED_MS_MAX) return [];
  const text = `must not let the last of those that wait do so for ${Math.round(lastMs / 1_000)} s; at most ${PACED_MS_MAX / 1_000} s`;
  return wrong('maxBurst', text, maxBurst);
}

/** A key would have everybody's limits, unseen. */
function unknownTiers({ keys, limits }: Options): Problem[] {
  const known = limits.tiers.map(({ name }) => name);
  return keys.flatMap((key, index): Problem[] => {
    const got = typeof key === 'string' ? undefined : key.tier;
    if (got === undefined || known.includes(got)) return [];
    const meant = nearest(got, known);
    const hint = meant === undefined ? {} : { hint: `did you mean ${meant}?` };
    return [{ path: ['keys', index, 'tier'], text: 'must be one of limits.tiers', got, ...hint }];
  });
}
