/** Clients of the swarm, and the judge of what they saw: a prefix of what one upstream said, in order, with exactly one end for every request. */
import assert from 'node:assert/strict';
import { decodeHead } from '../../src/protocol/answer-head.ts';
import type { FakeConnection } from './fake-connection.ts';
import type { SwarmUpstream } from './swarm-upstream.ts';

// oxlint-disable-next-line typescript/no-explicit-any -- whatever a dialect sends
type Any = any;

export const clientDialects = ['responses', 'chat', 'completions'] as const;
export type ClientDialect = (typeof clientDialects)[number];

export interface SwarmClient {
  readonly dialect: ClientDialect;
  readonly connection: FakeConnection;
  readonly lanes: number;
  asked: number;
  /** Each is answered with an error of its own when nothing runs; otherwise with nothing. */
  cancelled: number;
  /** It went by itself. */
  left: boolean;
}

/** One answer as its client understood it. */
interface Answer {
  text: string;
  reasoning: string;
  args: string;
  end: 'complete' | 'cancelled' | 'failed' | undefined;
  code: string | undefined;
}

export interface Verdicts {
  complete: number;
  failed: number;
  cancelled: number;
  /** Refused before it began, or a cancel that found nothing. */
  complained: number;
  /** Cut off with its connection. */
  cutOff: number;
  readonly codes: Map<string, number>;
}

/** `over`: time has passed since; whatever has no end now never gets one. */
export function judge(
  client: SwarmClient,
  upstreams: readonly SwarmUpstream[],
  verdicts: Verdicts,
): void {
  const { connection, dialect } = client;
  const { answers, complaints } = readers[dialect](connection.sent.map(({ bytes }) => bytes));
  for (const answer of answers) {
    judgeAnswer(answer, upstreams);
    if (answer.end) verdicts[answer.end]++;
    else verdicts.cutOff++;
    if (answer.code) verdicts.codes.set(answer.code, (verdicts.codes.get(answer.code) ?? 0) + 1);
  }
  verdicts.complained += complaints.length;
  const ended = answers.filter(({ end }) => end !== undefined).length + complaints.length;
  const unended = answers.length + complaints.length - ended;
  if (!connection.open && dialect !== 'completions') {
    // With the connection goes what ran, without a word; never more than was asked for.
    assert.ok(client.left || connection.closed, 'it was closed with a code');
    assert.ok(ended <= client.asked + client.cancelled, 'more ends than requests');
    return;
  }
  if (client.left) return;
  assert.equal(unended, 0, 'an answer without an end');
  const count = (code: string) => complaints.filter((each) => each === code).length;
  const unmatched = count('response_not_found');
  assert.ok(unmatched <= client.cancelled, 'more cancels were answered than came');
  // A cancel that died with its worker is complained of.
  const extra = ended - unmatched - client.asked;
  const mayBe = dialect === 'chat' ? client.cancelled : count('worker_lost');
  assert.ok(
    extra >= 0 && extra <= mayBe,
    `${client.asked} requests, ${ended} ends: ${complaints.join()}`,
  );
}

function judgeAnswer(
  { text, reasoning, args, end }: Answer,
  upstreams: readonly SwarmUpstream[],
): void {
  const said = `${reasoning}${text}${args.slice('{"at":"'.length)}`;
  if (said === '') {
    assert.notEqual(end, 'complete', 'a whole answer without its text');
    return;
  }
  const first = [reasoning, text, args.slice('{"at":"'.length)].find((each) => each !== '');
  const upstream = upstreams[Number.parseInt(first ?? '', 10)] as SwarmUpstream | undefined;
  assert.ok(upstream, `nobody said ${JSON.stringify(said.slice(0, 40))}`);
  for (const [got, all] of [
    [reasoning, upstream.reasoning],
    [text, upstream.text],
    [args, upstream.args],
  ]) {
    assert.ok(
      all.startsWith(got),
      `a prefix of what that upstream said: ${JSON.stringify(got.slice(-60))}`,
    );
    if (end === 'complete') assert.equal(got, all, 'complete means the whole');
  }
  // What comes later presumes that what comes before is whole.
  if (text !== '') assert.equal(reasoning, upstream.reasoning, 'no gap before the text');
  if (args !== '') assert.equal(text, upstream.text, 'no gap before the arguments');
}

interface Read {
  readonly answers: readonly Answer[];
  /** Codes of errors that belong to no answer. */
  readonly complaints: readonly string[];
}

const blank = (): Answer => ({
  text: '',
  reasoning: '',
  args: '',
  end: undefined,
  code: undefined,
});

const readers: Readonly<Record<ClientDialect, (frames: readonly Buffer[]) => Read>> = {
  responses(frames) {
    const answers: Answer[] = [];
    const complaints: string[] = [];
    const running = new Map<string, { answer: Answer; next: number }>();
    for (const bytes of frames) {
      const event = JSON.parse(bytes.toString());
      if (event.type === 'error') {
        complaints.push(event.error.code);
        continue;
      }
      const lane = event.stream_id ?? '';
      let turn = running.get(lane);
      if (!turn) {
        assert.equal(event.type, 'response.created', 'an answer begins with its opener');
        turn = { answer: blank(), next: 0 };
        running.set(lane, turn);
        answers.push(turn.answer);
      }
      assert.equal(event.sequence_number, turn.next++, 'sequence numbers without gap or double');
      if (readEvent(event, turn.answer)) running.delete(lane);
    }
    return { answers, complaints };
  },
  chat(frames) {
    const answers: Answer[] = [];
    const complaints: string[] = [];
    let answer: Answer | undefined;
    for (const bytes of frames) {
      const frame = JSON.parse(bytes.toString());
      if (frame.error && frame.id === undefined) {
        complaints.push(frame.error.code);
        continue;
      }
      if (!answer) answers.push((answer = blank()));
      answer.text += frame.content;
      answer.reasoning += frame.reasoning ?? '';
      answer.args += frame.tool?.arguments ?? '';
      if (!frame.done) continue;
      answer.code = frame.error?.code;
      const how = frame.finish_reason === 'cancelled' ? 'cancelled' : 'complete';
      answer.end = frame.error ? 'failed' : how;
      answer = undefined;
    }
    return { answers, complaints };
  },
  completions(frames) {
    if (frames.length === 0) return { answers: [blank()], complaints: [] };
    const { head, body } = decodeHead(frames[0]);
    const all = Buffer.concat([body, ...frames.slice(1)]).toString();
    const answer = blank();
    if (head.status !== 200) {
      answer.end = 'failed';
      answer.code = JSON.parse(all).x_millrace.code;
      return { answers: [answer], complaints: [] };
    }
    for (const [, data] of all.matchAll(/^data: (.*)$/gm)) readChunk(data, answer);
    return { answers: [answer], complaints: [] };
  },
};

/** True at the end. */
function readEvent(event: Any, answer: Answer): boolean {
  switch (event.type) {
    case 'response.output_text.delta':
      answer.text += event.delta;
      return false;
    case 'response.reasoning_text.delta':
    case 'response.reasoning_summary_text.delta':
      answer.reasoning += event.delta;
      return false;
    case 'response.function_call_arguments.delta':
      answer.args += event.delta;
      return false;
    case 'response.completed':
      answer.end = 'complete';
      return true;
    case 'response.incomplete':
      answer.end = 'cancelled';
      return true;
    case 'response.failed':
      answer.end = 'failed';
      answer.code = event.response.error.code;
      return true;
    default:
      return false;
  }
}

function readChunk(data: string, answer: Answer): void {
  assert.equal(answer.end, undefined, 'a chunk after the end');
  if (data === '[DONE]') {
    answer.end = 'complete';
    return;
  }
  const chunk = JSON.parse(data);
  if (chunk.error) {
    answer.end = 'failed';
    answer.code = chunk.x_millrace.code;
    return;
  }
  const { delta } = chunk.choices[0];
  answer.text += delta.content ?? '';
  answer.reasoning += delta.reasoning_content ?? '';
  for (const call of delta.tool_calls ?? []) answer.args += call.function.arguments;
}
