/** Headers of every request whose answer is a stream. */
export const streamHeaders = {
  'content-type': 'application/json',
  accept: 'text/event-stream',
  // Compressed token streams cost latency on both sides and gain nothing on a data-centre link.
  'accept-encoding': 'identity',
} as const;

export function bearer(apiKey: string | undefined): Readonly<Record<string, string>> {
  return apiKey === undefined || apiKey === '' ? {} : { authorization: `Bearer ${apiKey}` };
}
