/** Code of the operator's own, loaded in every worker: routes, hooks, providers, dialects. */
import { z } from 'zod';
import { count, ms } from './scalars.ts';

/** Where a module is, as code may say it: options/modules.ts turns every form into the text of a file: URL. */
export type ModulePlace = string | URL;

const NAMES_MAX = 64;
const namePattern = /^[A-Za-z0-9_.-]{1,64}$/;

const place = (sentence: string) =>
  z
    .string()
    .refine((text) => text.startsWith('file:'), {
      message: 'a file: URL or an absolute path (in a configuration file: or one relative to it)',
    })
    .describe(sentence) as unknown as z.ZodType<string, ModulePlace>;

const named = <T extends z.ZodType>(value: T, sentence: string) =>
  z
    .record(z.string(), value)
    .default({})
    .refine(
      (group) => {
        const names = Object.keys(group);
        return names.length <= NAMES_MAX && names.every((name) => namePattern.test(name));
      },
      { message: `a group of at most ${NAMES_MAX} names that match ${namePattern.source}` },
    )
    .describe(sentence);

const path = z
  .string()
  .regex(/^\/[^?#\s]*$/)
  .describe('Path it is served at.');

export const routes = z
  .array(
    z.strictObject({ path, module: place('Module whose default export is an async generator.') }),
  )
  .max(NAMES_MAX)
  .default([])
  .describe('Paths answered by generators of your own.');

export const providers = named(
  place('Module whose default export is the provider.'),
  'Upstream protocols of your own, by the name that upstreams[].provider gives.',
);

export const dialects = named(
  z.strictObject({ module: place('Module whose default export is the dialect.'), path }),
  'Client protocols of your own, by name.',
);

export const hooks = z.strictObject({
  module: place(
    'Module whose default export holds onAuth, onRequest or onFinish; absent: none.',
  ).optional(),
  timeoutMs: ms(5_000, 1, 600_000).describe('A hook that has not answered by then has failed.'),
  pendingMax: count(1_000, 1, 65_536).describe(
    'Calls of one hook that may run at once, per worker.',
  ),
  textBytesMax: count(256 * 1024, 0, 256 * 1024 * 1024).describe(
    'Bytes of an answer that onFinish is told; the rest is left out.',
  ),
});
