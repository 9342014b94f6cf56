/** The events of one Responses answer, as plain objects: what a relay written by hand sends. */

export interface Ask {
  readonly model: string;
  readonly input: string;
}

interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

export class Responses {
  usage: Usage | undefined;
  readonly #id: string;
  readonly #model: string;
  readonly #send: (event: object) => void;
  readonly #item: string;
  #sequence = 0;
  #text = '';

  constructor(id: string, model: string, send: (event: object) => void) {
    this.#id = id;
    this.#item = id.replace('resp_', 'msg_');
    this.#model = model;
    this.#send = send;
  }

  #response(status: string, output: object[]): object {
    const { usage } = this;
    return {
      id: this.#id,
      object: 'response',
      created_at: Math.floor(Date.now() / 1000),
      status,
      model: this.#model,
      output,
      usage: usage
        ? {
            input_tokens: usage.prompt_tokens,
            output_tokens: usage.completion_tokens,
            total_tokens: usage.total_tokens,
          }
        : null,
    };
  }

  #emit(type: string, fields: object): void {
    this.#send({ type, sequence_number: this.#sequence++, ...fields });
  }

  #place(): object {
    return { item_id: this.#item, output_index: 0, content_index: 0 };
  }

  #message(status: string, content: object[]): object {
    return { id: this.#item, type: 'message', role: 'assistant', status, content };
  }

  begin(): void {
    this.#emit('response.created', { response: this.#response('in_progress', []) });
    this.#emit('response.in_progress', { response: this.#response('in_progress', []) });
    const item = this.#message('in_progress', []);
    this.#emit('response.output_item.added', { output_index: 0, item });
    const part = { type: 'output_text', text: '', annotations: [], logprobs: [] };
    this.#emit('response.content_part.added', { ...this.#place(), part });
  }

  delta(delta: string): void {
    this.#text += delta;
    // Written out: this is the path of every token.
    this.#send({
      type: 'response.output_text.delta',
      sequence_number: this.#sequence++,
      item_id: this.#item,
      output_index: 0,
      content_index: 0,
      delta,
      logprobs: [],
    });
  }

  /** Ends an answer whose deltas were written elsewhere. */
  rest(sequence: number, text: string): void {
    this.#sequence = sequence;
    this.#text = text;
    this.end();
  }

  end(): void {
    const text = this.#text;
    this.#emit('response.output_text.done', { ...this.#place(), text, logprobs: [] });
    const part = { type: 'output_text', text, annotations: [], logprobs: [] };
    this.#emit('response.content_part.done', { ...this.#place(), part });
    const item = this.#message('completed', [part]);
    this.#emit('response.output_item.done', { output_index: 0, item });
    this.#emit('response.completed', { response: this.#response('completed', [item]) });
  }
}
