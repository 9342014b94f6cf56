/** Ollama's own chat API: one JSON object a line; tool calls come whole. */
import type { Answer } from '../answer.ts';
import { chatRequestOf, isObject, parseBody } from '../chat-request.ts';
import { type Speaker, type Voice, type VoiceOptions, type WireEvents } from './voice.ts';

export const ollama: Voice = {
  name: 'ollama',
  path: '/api/chat',
  framing: 'lines',
  marker: false,
  parse,
  speak,
  whole,
};

const NS_PER_TOKEN = 1_000_000;

function parse(body: string) {
  const fields = parseBody(body);
  const options = isObject(fields['options']) ? fields['options'] : {};
  const { think, stream } = fields;
  return chatRequestOf({
    ...fields,
    stream: stream !== false,
    max_tokens: options['num_predict'],
    stop: options['stop'],
    reasoning_effort: think === true || typeof think === 'string' ? 'low' : undefined,
  });
}

function speak(answer: Answer, { model, createdS }: VoiceOptions): Speaker {
  const created_at = new Date(createdS * 1000).toISOString();
  const head = { model, created_at };
  const line = (message: object, rest: object = { done: false }): WireEvents => [
    {
      json: JSON.stringify({
        ...head,
        message: { role: 'assistant', content: '', ...message },
        ...rest,
      }),
    },
  ];
  return {
    opening: () => [],
    *tokens() {
      for (const thinking of answer.reasoning) yield line({ thinking });
      for (const content of [...answer.content, ...answer.refusal]) yield line({ content });
      for (const call of answer.calls) yield line({ tool_calls: [callOf(call)] });
    },
    text: (json) => [
      {
        json: `${JSON.stringify(head).slice(0, -1)},"message":{"role":"assistant","content":${json}},"done":false}`,
      },
    ],
    failure: (_code, message) => [{ json: JSON.stringify({ error: message }) }],
    finish: () => line({}, endOf(answer)),
    after: () => [],
  };
}

function callOf({ id, name, fragments }: Answer['calls'][number]) {
  const args = JSON.parse(fragments.join('') || '{}') as object;
  return { id, function: { name, arguments: args } };
}

function endOf(answer: Answer) {
  return {
    done: true,
    done_reason: answer.finish === 'length' ? 'length' : 'stop',
    total_duration: answer.completionTokens * NS_PER_TOKEN,
    prompt_eval_count: answer.promptTokens,
    eval_count: answer.completionTokens,
    eval_duration: answer.completionTokens * NS_PER_TOKEN,
  };
}

function whole(answer: Answer, { model, createdS }: VoiceOptions): string {
  return JSON.stringify({
    model,
    created_at: new Date(createdS * 1000).toISOString(),
    message: {
      role: 'assistant',
      content: [...answer.content, ...answer.refusal].join(''),
      ...(answer.reasoning.length > 0 && { thinking: answer.reasoning.join('') }),
      ...(answer.calls.length > 0 && { tool_calls: answer.calls.map(callOf) }),
    },
    ...endOf(answer),
  });
}
