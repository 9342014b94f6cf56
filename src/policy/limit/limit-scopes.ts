/** What limits are about, as metrics and errors call it. */
export const limitScopes = [
  'global',
  'key',
  'address',
  'session',
  'model',
  'upstream',
  'input_tokens',
  'output_tokens',
  'day_tokens',
  'streams',
] as const;
export type LimitScope = (typeof limitScopes)[number];

/** `shadowed`: it would have been refused, or have waited. `paced`: it passes when its turn has come. */
export const limitVerdicts = ['allowed', 'refused', 'shadowed', 'paced'] as const;
export type LimitVerdictName = (typeof limitVerdicts)[number];
