/** Requests about answers that are kept: `/v1/stream`, `/v1/streams/lookup`, `/v1/responses/ID`. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { behindEvent, type KeptAnswer, type KeptAnswers } from './kept.ts';

const RESPONSE = /^\/v1\/responses\/([\w-]{1,256})(\/cancel)?$/;

/** False: it is about something else. */
export function answerKept(
  request: IncomingMessage,
  response: ServerResponse,
  kept: KeptAnswers,
): boolean {
  const url = new URL(request.url ?? '/', 'http://simulated');
  if (url.pathname === '/v1/stream') {
    const name = url.searchParams.get('conv_id') ?? '';
    const from = Number(url.searchParams.get('from') ?? 0);
    if (request.method === 'DELETE') deleted(response, kept.forget(name), 204);
    else read(response, kept.get(name), () => (Number.isInteger(from) && from >= 0 ? from : 0));
    return true;
  }
  const [, id, cancel] = RESPONSE.exec(url.pathname) ?? [];
  if (id === undefined) return false;
  const answer = kept.get(id);
  if (request.method === 'DELETE') deleted(response, kept.forget(id), 200);
  else if (request.method === 'POST' && cancel !== undefined) {
    answer?.stop();
    say(response, answer ? 200 : 404, { id, status: 'cancelled' });
  } else {
    const after = Number(url.searchParams.get('starting_after') ?? -1);
    read(response, answer, ({ body }) => (after < 0 ? 0 : behindEvent(body, after)));
  }
  return true;
}

function read(
  response: ServerResponse,
  answer: KeptAnswer | undefined,
  from: (answer: KeptAnswer) => number,
): void {
  if (answer) answer.read(response, from(answer));
  else say(response, 404, { error: { message: '[simulated] nothing is kept', code: 404 } });
}

function deleted(response: ServerResponse, known: boolean, status: number): void {
  if (status === 204 && known) response.writeHead(204).end();
  else say(response, known ? status : 404, { deleted: known });
}

function say(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
