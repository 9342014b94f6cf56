/** What a gateway compresses, for benches of codecs: frames with text in them, from one seed. */
import { passages } from '../../src/simulate/corpus.ts';

const words = [...new Set(passages.join(' ').split(/\s+/))].toSorted();
const encoder = new TextEncoder();

/** A uniform number in [0, 1) per call. */
export function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Words as texts have them: few of them often, many of them rarely. */
function prose(next: () => number, count: number): string {
  const drawn = Array.from({ length: count }, () => words[Math.floor(next() ** 3 * words.length)]);
  return drawn.join(' ');
}

/** A token's event of the Responses protocol, with the short ids that millrace gives. */
export function tokenEvent(next: () => number, sequence: number): Uint8Array {
  return encoder.encode(
    JSON.stringify({
      type: 'response.output_text.delta',
      item_id: `msg_${Math.floor(sequence / 100)}`,
      output_index: 0,
      content_index: 0,
      delta: ` ${prose(next, 1)}`,
      logprobs: [],
      sequence_number: sequence % 1000,
    }),
  );
}

/** Messages of about the same form and exactly `bytes` bytes, none like another. */
export function messages(next: () => number, bytes: number, count: number): Uint8Array[] {
  return Array.from({ length: count }, () => {
    const parts: string[] = [];
    for (let length = 0; length < bytes; ) {
      const id = Math.floor(next() * 2 ** 32).toString(16);
      const text = prose(next, 1 + Math.floor(next() * 40));
      parts.push(JSON.stringify({ role: 'assistant', id: `msg_${id}`, content: text }));
      length += parts.at(-1)?.length ?? 0;
    }
    return encoder.encode(parts.join(',')).slice(0, bytes);
  });
}
