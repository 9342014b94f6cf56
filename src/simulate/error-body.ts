/** OpenAI's shape of an error, with the label that it comes from a simulation. */
import type { MillraceError } from '../errors.ts';

export function errorBody(error: MillraceError): object {
  const { type = 'server_error' } = error.failure;
  return {
    error: { message: `[simulated] ${error.message}`, type, param: null, code: error.word },
  };
}
