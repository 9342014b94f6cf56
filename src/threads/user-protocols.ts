/**
 * Providers and dialects of the user's own: loaded, checked against the contract, and kept from taking a thread with them when they
 * throw where ours never do.
 */
import { asMillraceError, type MillraceError } from '../errors.ts';
import type { Options } from '../options/schema.ts';
import type { Conversation, Dialect } from '../protocol/dialect.ts';
import { slice } from '../protocol/dialects/fields.ts';
import type { Provider } from '../protocol/provider.ts';
import { loadModule, unusable } from './load-module.ts';

const MESSAGE_CHARS_MAX = 2_000;

/** @throws MILLRACE_MODULE_UNUSABLE, naming the function that is missing. */
export async function loadProviders({
  providers,
}: Options): Promise<Readonly<Record<string, Provider>>> {
  const loaded: Record<string, Provider> = {};
  for (const [name, url] of Object.entries(providers)) {
    const value = await loadModule('provider', url);
    requireFunctions('provider', url, value, ['encode', 'decoder', 'refusal']);
    loaded[name] = value as Provider;
  }
  return loaded;
}

/** @throws MILLRACE_MODULE_UNUSABLE, naming what is missing. */
export async function loadDialects({
  dialects,
}: Options): Promise<Readonly<Record<string, Dialect>>> {
  const loaded: Record<string, Dialect> = {};
  for (const [name, { module }] of Object.entries(dialects)) {
    const value = await loadModule('dialect', module);
    requireFunctions('dialect', module, value, ['conversation', 'complain']);
    const dialect = value as Dialect;
    if (typeof dialect.binary !== 'boolean') {
      throw unusable('dialect', module, 'it needs `binary`, true or false');
    }
    loaded[name] = guarded(name, dialect);
  }
  return loaded;
}

function requireFunctions(
  kind: 'provider' | 'dialect',
  url: string,
  value: unknown,
  names: readonly string[],
): void {
  const given =
    typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  const missing = names.find((name) => typeof given[name] !== 'function');
  if (missing === undefined) return;
  const all = names.map((name) => `${name}()`).join(', ');
  throw unusable(kind, url, `its default export needs ${all}; ${missing}() is missing`);
}

/** Error frames are asked for where nobody could take a throw: then the frame is one of ours. */
function guarded(name: string, dialect: Dialect): Dialect {
  const complain = (error: MillraceError) => frameOr(error, () => dialect.complain(error));
  return {
    name,
    binary: dialect.binary,
    complain,
    conversation(bounds, models) {
      let own: Conversation;
      try {
        own = dialect.conversation(bounds, models);
      } catch (thrown) {
        return mute(asMillraceError(thrown), complain);
      }
      return {
        get heldBytes() {
          return own.heldBytes;
        },
        decode: (message) => own.decode(message),
        begin: (turn, out) => own.begin(turn, out),
        refuse: (turn, error) => frameOr(error, () => own.refuse(turn, error)),
      };
    },
  };
}

/** A session whose conversation could not be made: every message fails with the reason. */
function mute(error: MillraceError, complain: (error: MillraceError) => Uint8Array): Conversation {
  const fail = () => {
    throw error;
  };
  return { heldBytes: 0, decode: fail, begin: fail, refuse: (_turn, why) => complain(why) };
}

function frameOr(error: MillraceError, make: () => unknown): Uint8Array {
  try {
    const frame = make();
    if (frame instanceof Uint8Array) return frame;
  } catch {
    // The frame below says what the dialect was to say.
  }
  const { code, message } = error;
  return Buffer.from(
    JSON.stringify({ error: { code, message: slice(message, MESSAGE_CHARS_MAX) } }),
  );
}
