/** What a provider's protocol cannot say is refused, never left out in silence. */
import { MillraceError } from '../../errors.ts';

export function unsupported(path: string, reason: string): MillraceError {
  return new MillraceError('MILLRACE_FIELD_UNSUPPORTED', { path, reason });
}

/** @throws MILLRACE_FIELD_UNSUPPORTED when the value is there. */
export function refuse(value: unknown, path: string, reason: string): void {
  if (value !== undefined && value !== null) throw unsupported(path, reason);
}
