/** The frames of the guide's chat, as a table: docs/PROTOCOL.md is made from it. */

export interface ChatFrame {
  readonly from: 'client' | 'server';
  readonly shape: string;
  readonly text: string;
}

export const chatFrames: readonly ChatFrame[] = [
  {
    from: 'client',
    shape: '{"message":"…"}',
    text: 'Asks. `"model"` chooses one of the configured models; without it the first is asked.',
  },
  { from: 'client', shape: '{"cancel":true}', text: 'Ends the running answer and what waits.' },
  { from: 'server', shape: '{"content":"…","done":false}', text: 'A piece of the answer.' },
  {
    from: 'server',
    shape: '{"content":"…","refusal":true,"done":false}',
    text: 'A piece of a refusal.',
  },
  {
    from: 'server',
    shape: '{"content":"","reasoning":"…","done":false}',
    text: 'A piece of what the model thinks, where the upstream shows it.',
  },
  {
    from: 'server',
    shape: '{"content":"","tool":{"index":0,"id":"…","name":"…"},"done":false}',
    text: 'A call begins; its arguments follow as `"tool":{"index":0,"arguments":"…"}`.',
  },
  {
    from: 'server',
    shape: '{"content":"","done":true,"finish_reason":"stop"}',
    text: 'The last frame, with `id`, `model`, `usage` and `upstream` where known. The reason is `stop`, `length`, `tool_calls`, `content_filter` or `cancelled`. Where limits hold, `headers` says what is left (as `x-ratelimit-…` of HTTP).',
  },
  {
    from: 'server',
    shape: '{"content":"","error":{"code":"…","message":"…","retry":"…"},"done":true}',
    text: 'The last frame of a failed answer (`delivered` counts what came before), or the answer to a message that was refused.',
  },
];
