/** Answers over HTTP, read with a parser that we did not write. */
import { createParser, type EventSourceMessage } from 'eventsource-parser';

export interface Posted {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Of a stream: its events; comments apart. */
  readonly events: readonly EventSourceMessage[];
  readonly comments: readonly string[];
  readonly json: Record<string, unknown>;
}

export function post(
  url: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

export async function posted(
  url: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Posted> {
  return read(await post(url, body, headers));
}

export async function read(response: Response): Promise<Posted> {
  const text = await response.text();
  const stream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
  const events: EventSourceMessage[] = [];
  const comments: string[] = [];
  if (stream) {
    const parser = createParser({
      onEvent: (event) => events.push(event),
      onComment: (comment) => comments.push(comment),
      onError(error) {
        throw error;
      },
    });
    parser.feed(text);
  }
  const json = stream ? {} : (JSON.parse(text) as Record<string, unknown>);
  return { status: response.status, headers: response.headers, text, events, comments, json };
}

export interface Chunk {
  readonly choices: readonly {
    readonly delta: { readonly role?: string; readonly content?: string };
    readonly finish_reason: string | null;
  }[];
  readonly usage?: Readonly<Record<string, unknown>> | null;
  readonly error?: { readonly code: string; readonly message: string };
}

/** The chunks of a streamed completion; `done`: `[DONE]` came, and came last. */
export function chunksOf({ events }: Posted): { chunks: Chunk[]; done: boolean } {
  const data = events.map((event) => event.data);
  const done = data.at(-1) === '[DONE]';
  const chunks = (done ? data.slice(0, -1) : data).map((text) => JSON.parse(text) as Chunk);
  return { chunks, done };
}

export function contentOf(chunks: readonly Chunk[]): string {
  return chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('');
}
