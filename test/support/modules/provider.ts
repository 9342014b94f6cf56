/** A provider of the user's own: the simulated upstream's protocol under another name, and faults a test may ask for. */
import type { Provider } from '../../../src/protocol/provider.ts';
import { openaiChat } from '../../../src/protocol/providers/openai-chat.ts';

const provider: Provider = {
  name: 'mine',
  encode(request, upstream) {
    const said = JSON.stringify(request.messages);
    if (said.includes('encode throws')) throw new Error('a fault the test ordered');
    return openaiChat.encode(request, upstream);
  },
  decoder(upstream, sink, bounds) {
    if (fault === 'decoder throws') throw new Error('a fault the test ordered');
    const decoder = openaiChat.decoder(upstream, sink, bounds);
    return {
      push(bytes) {
        if (fault === 'push throws') throw new Error('a fault the test ordered');
        if (fault === 'fails with any error') return sink.fail(new Error('not typed') as never);
        decoder.push(bytes);
      },
      close: (cause) => decoder.close(cause),
      get state() {
        return decoder.state;
      },
    };
  },
  refusal: (...args) => openaiChat.refusal(...args),
};

/** Set by the dialect beside it: a test says it in the path of its session's first message. */
let fault = '';
export function setFault(next: string): void {
  fault = next;
}

export default provider;
