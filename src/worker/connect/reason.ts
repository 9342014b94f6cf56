/** The system's or undici's code where there is one: never a text that may quote what was sent. */
export function reasonOf(error: Error & { code?: unknown }): string {
  if (error.code === 'UND_ERR_SOCKET') return 'closed before the answer was complete';
  if (typeof error.code === 'string') return error.code;
  return error.message === '' ? error.name : error.message.slice(0, 120);
}
