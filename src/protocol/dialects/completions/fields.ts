/** What becomes of each field of a chat completion request, as a table: docs/PROTOCOL.md is made from it, and a test holds the reader to it. */

export interface CompletionField {
  readonly name: string;
  readonly use: 'used' | 'ignored' | 'refused';
  readonly text: string;
}

export const completionFields: readonly CompletionField[] = [
  { name: 'model', use: 'used', text: 'Required. One of the configured models.' },
  {
    name: 'messages',
    use: 'used',
    text: 'Required. Roles system, developer, user, assistant, tool; content is text, or parts: text, and image_url of users.',
  },
  { name: 'stream', use: 'used', text: 'true: chunks; otherwise one object.' },
  { name: 'stream_options', use: 'used', text: '`include_usage`: a last chunk with the usage.' },
  { name: 'tools', use: 'used', text: 'Function tools; others run at a vendor and are refused.' },
  { name: 'tool_choice', use: 'used', text: 'none, auto, required or one function.' },
  { name: 'parallel_tool_calls', use: 'used', text: 'May several functions be called at once?' },
  { name: 'temperature', use: 'used', text: '0 to 2.' },
  { name: 'top_p', use: 'used', text: '0 to 1.' },
  {
    name: 'max_completion_tokens',
    use: 'used',
    text: 'At least 1; `max_tokens` stands in for it.',
  },
  { name: 'reasoning_effort', use: 'used', text: 'Passed on.' },
  { name: 'response_format', use: 'used', text: 'text, json_object or json_schema.' },
  { name: 'stop', use: 'used', text: 'A text, or at most four.' },
  { name: 'seed', use: 'used', text: 'Passed on.' },
  { name: 'user', use: 'used', text: 'Passed on; `safety_identifier` stands in for it.' },
  { name: 'store', use: 'ignored', text: 'Nothing is stored here.' },
  { name: 'metadata', use: 'ignored', text: 'Not passed on.' },
  { name: 'service_tier', use: 'ignored', text: 'Not passed on.' },
  { name: 'prompt_cache_key', use: 'ignored', text: 'Not passed on.' },
  { name: 'prediction', use: 'ignored', text: 'Not passed on: it only saves time.' },
  { name: 'verbosity', use: 'ignored', text: 'Not passed on.' },
  { name: 'n', use: 'refused', text: 'Above 1: a request has one answer.' },
  { name: 'logprobs', use: 'refused', text: 'true: log probabilities do not pass through.' },
  { name: 'top_logprobs', use: 'refused', text: 'Above 0, as `logprobs`.' },
  { name: 'frequency_penalty', use: 'refused', text: 'Anything but 0: not passed on.' },
  { name: 'presence_penalty', use: 'refused', text: 'Anything but 0: not passed on.' },
  { name: 'logit_bias', use: 'refused', text: 'Unless empty: not passed on.' },
  { name: 'modalities', use: 'refused', text: 'Other than text.' },
  { name: 'audio', use: 'refused', text: 'Answers are text.' },
  { name: 'web_search_options', use: 'refused', text: 'Searches run at a vendor.' },
  { name: 'functions', use: 'refused', text: 'Replaced by `tools`.' },
  { name: 'function_call', use: 'refused', text: 'Replaced by `tool_choice`.' },
];
