/**
 * Tool calls put together from the fragments of chat-completion chunks. The documented form is: `index` always, `id` and `name` in the
 * first fragment. Seen besides: no index, one index for all parallel calls, ids repeated or empty in every fragment, the
 * same id for two calls, the name after the first arguments, whole calls in one chunk, arguments as an object.
 */
import { asJson, asObject, asText, type JsonObject } from './json-value.ts';

const CALLS_MAX = 1024;
const UNNAMED_LENGTH_MAX = 64 * 1024;

interface Call {
  /** As the upstream wrote it; '' while it wrote none. */
  upstreamId: string;
  name: string;
  /** Our index, from 0 in order of their beginning; -1 until the name is known. */
  part: number;
  /** Arguments that came before the name. */
  early: string;
  argued: boolean;
}

export interface ToolSink {
  tool(index: number, id: string, name: string): void;
  /** Never empty. `sole`: it is the arguments' own string in the chunk's only fragment. */
  args(index: number, text: string, sole: boolean): void;
}

export class ToolCalls {
  readonly #sink: ToolSink;
  readonly #calls: Call[] = [];
  /** With the first call: most answers have none. */
  #byIndex: Map<number, Call> | undefined;
  #ids: Set<string> | undefined;
  #begun = 0;
  #last: Call | undefined;

  constructor(sink: ToolSink) {
    this.#sink = sink;
  }

  /** Calls of which something came but no name. */
  get unnamed(): boolean {
    return this.#begun < this.#calls.length;
  }

  /**
   * Takes one fragment, `alone` when it is the only one of its chunk. `responseId` serves to make ids where the upstream gives
   * none. Returns what is wrong, or ''.
   */
  take(value: unknown, responseId: string, alone: boolean): string {
    const fragment = asObject(value);
    if (fragment === undefined) return 'a tool call that is no object';
    const called = asObject(fragment['function']) ?? {};
    const name = asText(called['name']);
    const id = asText(fragment['id']) ?? '';
    const index = typeof fragment['index'] === 'number' ? fragment['index'] : undefined;
    const call = this.#find(index, id, name) ?? this.#add(index, id);
    if (typeof call === 'string') return call;
    this.#last = call;
    if (call.part < 0 && call.upstreamId === '') call.upstreamId = id;
    const text = argumentsOf(called);
    if (text === undefined) return 'tool arguments that are no text';
    if (call.part < 0 && name !== undefined) {
      call.name = name;
      call.part = this.#begun++;
      this.#sink.tool(call.part, this.#freeId(call, responseId), name);
      const all = call.early + text;
      call.early = '';
      if (all !== '') this.#say(call, all, false);
      return '';
    }
    if (text === '') return '';
    if (call.part >= 0) {
      this.#say(call, text, alone && text === called['arguments']);
      return '';
    }
    call.early += text;
    return call.early.length > UNNAMED_LENGTH_MAX ? 'a tool call without a name' : '';
  }

  #say(call: Call, text: string, sole: boolean): void {
    call.argued = true;
    this.#sink.args(call.part, text, sole);
  }

  /** The call a fragment goes on with, undefined when it begins one. */
  #find(index: number | undefined, id: string, name: string | undefined): Call | undefined {
    if (index !== undefined) {
      const call = this.#byIndex?.get(index);
      return call !== undefined && begins(call, id, name, true) ? undefined : call;
    }
    if (id !== '') {
      const known = this.#calls.findLast((call) => call.upstreamId === id);
      if (known !== undefined) return known;
      return name === undefined ? this.#last : undefined;
    }
    return name !== undefined && this.#last !== undefined && begins(this.#last, id, name, false)
      ? undefined
      : this.#last;
  }

  #add(index: number | undefined, id: string): Call | string {
    if (this.#calls.length >= CALLS_MAX) return `more than ${CALLS_MAX} tool calls`;
    const call: Call = { upstreamId: id, name: '', part: -1, early: '', argued: false };
    this.#calls.push(call);
    this.#byIndex ??= new Map();
    if (index !== undefined) this.#byIndex.set(index, call);
    return call;
  }

  /** An id that no other call of this answer has: the client answers by it. */
  #freeId(call: Call, responseId: string): string {
    const wanted = call.upstreamId || `call_${responseId.slice(-24)}${call.part}`;
    let id = wanted;
    const ids = (this.#ids ??= new Set());
    for (let n = call.part; ids.has(id); n++) id = `${wanted}_${n}`;
    ids.add(id);
    return id;
  }
}

/**
 * Does a fragment that seems to go on with `call` begin another? A name says so, unless it only repeats what is known. Without any
 * index or id a name always does, once the call before it has its arguments.
 */
function begins(call: Call, id: string, name: string | undefined, indexed: boolean): boolean {
  if (name === undefined || call.part < 0) return false;
  if (id !== '' && call.upstreamId !== '') return id !== call.upstreamId;
  return name !== call.name || (!indexed && call.argued);
}

function argumentsOf(called: JsonObject): string | undefined {
  const value = called['arguments'];
  if (typeof value === 'string') return value;
  if (value === undefined || value === null) return '';
  return typeof value === 'object' ? asJson(value) : undefined;
}
