/** What a client of each dialect understood of an answer: its content by kind, its one end. Read from frames alone, and strictly: anything odd throws. */
import assert from 'node:assert/strict';
import { type AnswerHead, decodeHead } from '../../src/protocol/answer-head.ts';
import { type Encoder, FrameFlag, type FrameSink } from '../../src/protocol/dialect.ts';
import { dialects } from '../../src/protocol/dialects/dialects.ts';
import { Delta } from '../../src/protocol/events.ts';
import { Dialogue } from './dialogue.ts';
import { begin } from './posted-dialogue.ts';
import type { Step } from './trace.ts';

// oxlint-disable-next-line typescript/no-explicit-any -- whatever a dialect sends
type Any = any;

/** Content without the order between kinds: whole answers do not say it. */
export interface Content {
  text: string;
  reasoning: string;
  refusal: string;
  /** Name and arguments of each call, in the order of their beginnings. */
  calls: { name: string; args: string }[];
}

export interface Understood extends Content {
  end: 'complete' | 'failed' | undefined;
  /** Of the failure. */
  code: string | undefined;
}

export const blank = (): Content => ({ text: '', reasoning: '', refusal: '', calls: [] });

/** The same form, of a trace. */
export function contentOf(steps: readonly Step[]): Content {
  const content = blank();
  const parts = new Map<number, Content['calls'][number]>();
  for (const step of steps) {
    if ('name' in step) {
      const call = { name: step.name, args: '' };
      parts.set(step.tool, call);
      content.calls.push(call);
    } else if (step.kind === Delta.arguments) {
      const call = parts.get(step.part);
      assert.ok(call, 'arguments of no call');
      call.args += step.text;
    } else content[kindNames[step.kind]] += step.text;
  }
  return content;
}

const kindNames = { 0: 'text', 1: 'reasoning', 2: 'refusal' } as const;

/** Keeps frames as they come, and holds what every dialect owes its sink: numbers without a gap, one commit, one terminal frame, nothing after it. */
export class Frames implements FrameSink {
  readonly texts: string[] = [];
  head: AnswerHead | undefined;
  readonly #headed: boolean;
  #next = 0;
  #committed = false;
  #ended = false;

  constructor(headed: boolean) {
    this.#headed = headed;
  }

  get ended(): boolean {
    return this.#ended;
  }

  frame(bytes: Uint8Array, length: number, flags: number, sequence: number): void {
    assert.ok(!this.#ended, 'a frame after the terminal one');
    assert.equal(sequence, this.#next++, 'a sequence number is missing or twice');
    if (flags & FrameFlag.commit) {
      assert.ok(!this.#committed, 'a second commit');
      this.#committed = true;
    } else if ((flags & FrameFlag.opener) !== 0) assert.ok(!this.#committed, 'a late opener');
    if (flags & FrameFlag.terminal) this.#ended = true;
    let body: Buffer = Buffer.from(bytes.subarray(0, length));
    if (this.#headed && this.head === undefined) ({ head: this.head, body } = decodeHead(body));
    this.texts.push(utf8.decode(body));
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** One client: how it asks, and how it reads the frames of the answer. */
export interface Asker {
  begin(): { encoder: Encoder; frames: Frames };
  read(frames: Frames): Understood;
}

const messages = [{ role: 'user', content: 'hello' }];

/** Every dialect, and each of its ways to answer. A dialect that has no model's answer of its own is named with none. */
export const askers = {
  responses: [
    socketAsker(
      'responses',
      { type: 'response.create', model: 'm', input: 'hello' },
      readResponses,
    ),
  ],
  chat: [socketAsker('chat', { message: 'hello' }, readChat)],
  // A route's answers are its handler's; what it pulls from an upstream is the business of the relay's tests.
  route: [],
  parts: [socketAsker('parts', { model: 'm', messages }, readParts)],
  'responses-http': [
    postAsker('responses-http', { input: 'hello', stream: true }, readResponseEvents),
    postAsker('responses-http', { input: 'hello' }, readWholeResponse),
  ],
  completions: [
    postAsker('completions', { messages, stream: true }, readChunks),
    postAsker('completions', { messages }, readCompletion),
  ],
} satisfies Record<keyof typeof dialects, readonly Asker[]>;

type Read = (frames: Frames) => Understood;

function socketAsker(name: 'responses' | 'chat' | 'parts', message: object, read: Read): Asker {
  return {
    begin() {
      const talk = new Dialogue(dialects[name]);
      const frames = new Frames(false);
      const opening = talk.conversation.begin(talk.turn(message), frames);
      if (opening.kind !== 'run') throw new Error(`it does not run: ${opening.kind}`);
      return { encoder: opening.encoder, frames };
    },
    read,
  };
}

function postAsker(name: 'responses-http' | 'completions', body: object, read: Read): Asker {
  return {
    begin() {
      const frames = new Frames(true);
      const { encoder } = begin(dialects[name], body, frames);
      return { encoder, frames };
    },
    read,
  };
}

function unended(): Understood {
  return { ...blank(), end: undefined, code: undefined };
}

/** Dialects say it with or without the prefix. */
const wordOf = (code: string) => code.replace('MILLRACE_', '').toLowerCase();

/** Exactly once. */
function end(said: Understood, how: 'complete' | 'failed', code?: string): void {
  assert.equal(said.end, undefined, 'a second end');
  said.end = how;
  said.code = code && wordOf(code);
}

function readResponses(frames: Frames): Understood {
  return responseEvents(frames.texts.map((text) => JSON.parse(text)));
}

function readResponseEvents(frames: Frames): Understood {
  if (frames.head?.status !== 200) return refused(frames);
  return responseEvents(dataOf(frames).map((data) => JSON.parse(data)));
}

/** The events of one answer over the WebSocket. */
export function responseEvents(events: readonly Any[]): Understood {
  const said = unended();
  const calls = new Map<string, Content['calls'][number]>();
  for (const [at, event] of events.entries()) {
    assert.equal(event.sequence_number, at, 'sequence_number');
    assert.equal(said.end, undefined, `${event.type} after the end`);
    switch (event.type) {
      case 'response.output_text.delta':
        said.text += event.delta;
        break;
      case 'response.refusal.delta':
        said.refusal += event.delta;
        break;
      case 'response.reasoning_text.delta':
      case 'response.reasoning_summary_text.delta':
        said.reasoning += event.delta;
        break;
      case 'response.output_item.added':
        if (event.item.type !== 'function_call') break;
        said.calls.push({ name: event.item.name, args: '' });
        calls.set(event.item.id, said.calls[said.calls.length - 1]);
        break;
      case 'response.function_call_arguments.delta':
        (calls.get(event.item_id) as Content['calls'][number]).args += event.delta;
        break;
      case 'response.completed':
      case 'response.incomplete':
        end(said, 'complete');
        assert.deepEqual(outputOf(event.response), contentIn(said), 'the last event sums it up');
        break;
      case 'response.failed':
        end(said, 'failed', event.response.error.code);
    }
  }
  return said;
}

const contentIn = ({ text, reasoning, refusal, calls }: Content): Content => ({
  text,
  reasoning,
  refusal,
  calls,
});

/** The content of a response object. */
function outputOf(response: Any): Content {
  const content = blank();
  for (const item of response.output) {
    if (item.type === 'function_call') {
      content.calls.push({ name: item.name, args: item.arguments });
    }
    for (const part of item.content ?? []) {
      if (part.type === 'output_text') content.text += part.text;
      else if (part.type === 'refusal') content.refusal += part.refusal;
      else content.reasoning += part.text;
    }
    for (const part of item.summary ?? []) content.reasoning += part.text;
  }
  return content;
}

function readWholeResponse(frames: Frames): Understood {
  if (frames.texts.length === 0) return unended();
  if (frames.head?.status !== 200) return refused(frames);
  const response = JSON.parse(frames.texts.join(''));
  assert.match(response.status, /^(completed|incomplete)$/);
  return { ...outputOf(response), end: 'complete', code: undefined };
}

function readChat(frames: Frames): Understood {
  const said = unended();
  for (const text of frames.texts) {
    const frame = JSON.parse(text);
    assert.equal(said.end, undefined, 'a frame after done');
    if (frame.refusal) said.refusal += frame.content;
    else said.text += frame.content;
    said.reasoning += frame.reasoning ?? '';
    const { tool } = frame;
    if (tool?.name !== undefined) said.calls.push({ name: tool.name, args: '' });
    else if (tool) said.calls[tool.index].args += tool.arguments;
    if (frame.done) end(said, frame.error ? 'failed' : 'complete', frame.error?.code);
  }
  return said;
}

function readParts(frames: Frames): Understood {
  const said = unended();
  for (const text of frames.texts) {
    const part: Any = JSON.parse(text);
    assert.equal(said.end, undefined, 'a part after the end');
    if (part.type === 'tool') said.calls[part.index] = { name: part.name, args: '' };
    else if (part.type === 'arguments') said.calls[part.index].args += part.text;
    else if (part.type === 'finish') end(said, 'complete');
    else if (part.type === 'error') end(said, 'failed', part.error.code);
    else if (part.type !== 'usage') said[part.type as 'text'] += part.text;
  }
  return said;
}

function readChunks(frames: Frames): Understood {
  if (frames.texts.length === 0) return unended();
  if (frames.head?.status !== 200) return refused(frames);
  const said = unended();
  let reason: string | null = null;
  for (const data of dataOf(frames)) {
    assert.equal(said.end, undefined, 'a chunk after the end');
    if (data === '[DONE]') {
      assert.ok(reason, '[DONE] without a reason');
      end(said, 'complete');
      continue;
    }
    const chunk = JSON.parse(data);
    if (chunk.error) {
      end(said, 'failed', chunk.x_millrace.code);
      continue;
    }
    const [{ delta, finish_reason }] = chunk.choices;
    assert.equal(reason, null, 'a chunk after the reason');
    reason = finish_reason;
    said.text += delta.content ?? '';
    said.reasoning += delta.reasoning_content ?? '';
    said.refusal += delta.refusal ?? '';
    for (const call of delta.tool_calls ?? []) {
      if (call.id !== undefined) said.calls[call.index] = { name: call.function.name, args: '' };
      said.calls[call.index].args += call.function.arguments;
    }
  }
  return said;
}

function readCompletion(frames: Frames): Understood {
  if (frames.texts.length === 0) return unended();
  if (frames.head?.status !== 200) return refused(frames);
  const [{ message, finish_reason }] = JSON.parse(frames.texts.join('')).choices;
  assert.ok(finish_reason, 'a completion without a reason');
  const calls = (message.tool_calls ?? []) as Any[];
  return {
    text: message.content ?? '',
    reasoning: message.reasoning_content ?? '',
    refusal: message.refusal ?? '',
    calls: calls.map(({ function: { name, arguments: args } }) => ({ name, args })),
    end: 'complete',
    code: undefined,
  };
}

/** An answer that never began: a status, and why. */
function refused(frames: Frames): Understood {
  const { status } = frames.head as AnswerHead;
  assert.ok(status >= 400, `status ${status}`);
  const { x_millrace } = JSON.parse(frames.texts.join(''));
  return { ...blank(), end: 'failed', code: wordOf(x_millrace.code) };
}

/** What stands behind `data: `; the stream must be whole events. */
function dataOf(frames: Frames): string[] {
  const text = frames.texts.join('');
  assert.ok(text === '' || text.endsWith('\n\n'), 'half an event');
  return [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => data);
}
