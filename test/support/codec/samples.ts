/** Inputs of codec tests: the edges, and what a gateway really compresses. All from one generator, so that a seed repeats them. */

const words =
  'the of stream token delta upstream answer gateway bytes "content" {"type":" \n\n 0.5 näïve 水車 🙂 id_'.split(
    ' ',
  );

export function textOf(next: () => number, bytes: number): Uint8Array {
  let text = '';
  // Zipf-like: early words are common.
  while (text.length < bytes) text += `${words[Math.floor(next() ** 2 * words.length)]} `;
  return new TextEncoder().encode(text).slice(0, bytes);
}

export function noise(next: () => number, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, () => Math.floor(next() * 256));
}

/** Name and bytes. */
export function samples(next: () => number): readonly (readonly [string, Uint8Array])[] {
  const sizes = [1, 2, 80, 255, 256, 1_023, 1_024, 4_096, 65_535, 65_536, 65_537, 131_073, 300_000];
  return [
    ['nothing', new Uint8Array(0)],
    ...sizes.map((size) => [`${size} bytes of text`, textOf(next, size)] as const),
    ...[1, 100, 70_000].map((size) => [`${size} bytes of noise`, noise(next, size)] as const),
    ['200,000 zeros', new Uint8Array(200_000)],
  ];
}
