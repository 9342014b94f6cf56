/** The closed lists of names in options, apart from the schema: threads that count by them need not load the schema's library. */

export const dialectNames = [
  'responses',
  'chat',
  'echo',
  'socket',
  'route',
  'parts',
  'responses-http',
  'completions',
  'proxy',
] as const;
/** Those that make frames of text. */
export const textDialectNames = ['chat', 'responses', 'responses-http', 'completions'] as const;

/** One of those, or one of `dialects` in the options. */
export type DialectName = (typeof dialectNames)[number] | (string & {});

export const providerNames = ['openai-chat', 'openai-responses', 'anthropic', 'ollama'] as const;
/** The provider whose upstreams may be asked over a WebSocket. */
export const EVENT_SOCKET_PROVIDER = 'openai-responses';
/** The provider of upstreams that no LLM stream goes to: WebSocket back ends of the dialect `proxy`. */
export const SOCKET_PROVIDER = 'websocket';

/** How an answer goes on that broke off. */
export const resumptionNames = ['none', 'llama', 'background'] as const;
export type ResumptionName = (typeof resumptionNames)[number];

/** Who reads what upstreams answer over HTTP. */
export const readerNames = ['auto', 'undici'] as const;
export type ReaderName = (typeof readerNames)[number];

/** The simulated upstreams of the demo. */
export const demoUpstreamNames = ['simulated-a', 'simulated-b'] as const;

export const strategyNames = [
  'RoundRobin',
  'LeastConnections',
  'WeightedRoundRobin',
  'Random',
  'P2C',
] as const;

export const limitAlgorithmNames = ['TokenBucket', 'LeakyBucket', 'SlidingWindow'] as const;
export type LimitAlgorithmName = (typeof limitAlgorithmNames)[number];

/** What becomes of a key that the table of limits has no room for. */
export const whenFullNames = ['crowd', 'admit', 'refuse'] as const;
export type WhenFullName = (typeof whenFullNames)[number];

export const propagations = ['never', 'incoming', 'always'] as const;
