/**
 * The seven stops of a byte, in order, each with the thread it happens on. These words are file
 * names, metric labels, trace channels, bench names and chapter headings.
 */
export const stages = [
  { name: 'accept', thread: 'main' },
  { name: 'admit', thread: 'main' },
  { name: 'route', thread: 'worker' },
  { name: 'stream', thread: 'worker' },
  { name: 'chunk', thread: 'worker' },
  { name: 'compress', thread: 'worker' },
  { name: 'deliver', thread: 'main' },
] as const;

export type Stage = (typeof stages)[number]['name'];
