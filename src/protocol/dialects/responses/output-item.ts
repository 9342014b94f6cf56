/**
 * One entry of a response's `output`, and the frames that tell of it. Text is never decoded here: it was collected as escaped
 * bytes and is spliced into every frame that repeats it.
 */
import type { Message, ToolCall } from '../../request.ts';
import { DeltaFrame } from '../delta-frame.ts';
import { EscapedText } from '../escaped-text.ts';
import type { FrameWriter } from '../frame-writer.ts';

export type ItemType = 'message' | 'reasoning' | 'function_call';
export type ItemStatus = 'in_progress' | 'completed' | 'incomplete';
export type PartType = 'output_text' | 'refusal' | 'reasoning_text' | 'arguments';

/** What differs between kinds of text: event names, the field that holds the text, and what stands beside it. */
const partTypes = {
  output_text: {
    event: 'response.output_text',
    field: 'text',
    beside: '"logprobs":[],',
    part: '"type":"output_text","annotations":[],"logprobs":[],',
  },
  refusal: { event: 'response.refusal', field: 'refusal', beside: '', part: '"type":"refusal",' },
  reasoning_text: {
    event: 'response.reasoning_text',
    field: 'text',
    beside: '',
    part: '"type":"reasoning_text",',
  },
  arguments: {
    event: 'response.function_call_arguments',
    field: 'arguments',
    beside: '',
    part: '',
  },
} as const;

/** Item ids are ordinals: `msg_0`, `rs_0`, `fc_1`. */
const prefixes = { message: 'msg', reasoning: 'rs', function_call: 'fc' } as const;

const deltaTail = Buffer.from('"}');

export class ContentPart {
  readonly type: PartType;
  readonly index: number;
  readonly text = new EscapedText();
  /** Undefined once the part is over. */
  frame: DeltaFrame | undefined;
  readonly #where: string;
  readonly #name: string | undefined;

  /** `stream`: `"stream_id":"a",` or nothing. */
  constructor(type: PartType, index: number, item: OutputItem, stream: string) {
    this.type = type;
    this.index = index;
    this.#name = item.call?.name;
    const place = type === 'arguments' ? '' : `"content_index":${index},`;
    this.#where = `${stream}"item_id":"${item.id}","output_index":${item.index},${place}`;
    const { event, beside } = partTypes[type];
    this.frame = new DeltaFrame(
      `{"type":"${event}.delta","sequence_number":`,
      `,${this.#where}${beside}"delta":"`,
      deltaTail,
    );
  }

  /** `response.content_part.added` and `.done`. */
  writePartEvent(to: FrameWriter, step: 'added' | 'done', sequence: number): void {
    to.text(`{"type":"response.content_part.${step}","sequence_number":${sequence},`);
    to.text(`${this.#where}"part":`);
    this.writePart(to);
    to.text('}');
  }

  /** The text's own `.done`. */
  writeDone(to: FrameWriter, sequence: number): void {
    const { event, field, beside } = partTypes[this.type];
    to.text(`{"type":"${event}.done","sequence_number":${sequence},${this.#where}${beside}`);
    if (this.#name !== undefined) to.text('"name":').json(this.#name).text(',');
    to.text(`"${field}":"`).raw(this.text.bytes, 0, this.text.length).text('"}');
  }

  writePart(to: FrameWriter): void {
    const { field, part } = partTypes[this.type];
    to.text(`{${part}"${field}":"`).raw(this.text.bytes, 0, this.text.length).text('"}');
  }
}

export class OutputItem {
  readonly type: ItemType;
  readonly index: number;
  readonly id: string;
  readonly call: { readonly id: string; readonly name: string } | undefined;
  readonly parts: ContentPart[] = [];
  status: ItemStatus = 'in_progress';
  readonly #stream: string;

  constructor(type: ItemType, index: number, stream: string, call?: { id: string; name: string }) {
    this.type = type;
    this.index = index;
    this.id = `${prefixes[type]}_${index}`;
    this.call = call;
    this.#stream = stream;
  }

  addPart(type: PartType): ContentPart {
    const part = new ContentPart(type, this.parts.length, this, this.#stream);
    this.parts.push(part);
    return part;
  }

  /** `extension`: JSON that stands beside the item as `x_millrace`. */
  writeItemEvent(
    to: FrameWriter,
    step: 'added' | 'done',
    sequence: number,
    extension?: string,
  ): void {
    to.text(`{"type":"response.output_item.${step}","sequence_number":${sequence},`);
    to.text(`${this.#stream}"output_index":${this.index},"item":`);
    this.writeItem(to);
    to.text(extension === undefined ? '}' : `,"x_millrace":${extension}}`);
  }

  writeItem(to: FrameWriter, status: ItemStatus = this.status): void {
    to.text(`{"id":"${this.id}","type":"${this.type}","status":"${status}",`);
    if (this.call !== undefined) {
      const args = this.parts[0]?.text;
      to.text('"call_id":').json(this.call.id).text(',"name":').json(this.call.name);
      to.text(',"arguments":"')
        .raw(args?.bytes ?? NOTHING, 0, args?.length ?? 0)
        .text('"}');
      return;
    }
    to.text(
      this.type === 'message' ? '"role":"assistant","content":[' : '"summary":[],"content":[',
    );
    this.parts.forEach((part, index) => {
      if (index > 0) to.text(',');
      part.writePart(to);
    });
    to.text(']}');
  }
}

const NOTHING = new Uint8Array(0);

/**
 * What a continuation sends back to the model as its own words: text and refusals, and the calls that were complete.
 * Undefined when there is nothing of that.
 */
export function assistantMessage(items: readonly OutputItem[]): Message | undefined {
  const texts = items
    .filter((item) => item.type === 'message')
    .flatMap((item) => item.parts.map((part) => part.text.decode()))
    .filter((text) => text !== '');
  const toolCalls = items.flatMap((item): ToolCall[] => {
    if (item.call === undefined || item.status !== 'completed') return [];
    return [{ id: item.call.id, name: item.call.name, arguments: item.parts[0].text.decode() }];
  });
  if (texts.length === 0 && toolCalls.length === 0) return undefined;
  const content = texts.map((text) => ({ type: 'text' as const, text }));
  return toolCalls.length === 0
    ? { role: 'assistant', content }
    : { role: 'assistant', content, toolCalls };
}
