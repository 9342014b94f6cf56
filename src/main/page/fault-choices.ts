/** What may be made to go wrong at a simulated upstream from this page, and the line of the message that says so. */

export interface FaultChoice {
  /** As the simulated upstream reads it; '' for none. */
  readonly fault: string;
  readonly label: string;
}

export const faultChoices: readonly FaultChoice[] = [
  { fault: '', label: 'works' },
  { fault: 'status=503', label: 'answers 503' },
  { fault: 'status=429 retry-after=3', label: 'answers 429, busy for 3 s' },
  { fault: 'reset-before-headers', label: 'resets before the first token' },
  { fault: 'stall-headers=0', label: 'stalls before the first token' },
  { fault: 'reset-after=12', label: 'resets in mid-stream' },
  { fault: 'stall-after=12', label: 'stalls in mid-stream' },
  { fault: 'end-after=12', label: 'ends too early' },
  { fault: 'malformed-after=12', label: 'sends broken JSON' },
  { fault: 'rate=5', label: 'is slow: 5 tokens/s' },
];

/** The message with a line for each upstream that is to fail. */
export function withFaults(message: string, faults: ReadonlyMap<string, string>): string {
  const lines = [...faults]
    .filter(([, fault]) => fault !== '')
    .map(([upstream, fault]) => `@fault only=${upstream} ${fault}`);
  return [message, ...lines].join('\n');
}
