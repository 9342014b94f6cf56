/** Hooks for tests over real threads: the key and the words of a request say what they do. */
import { appendFileSync } from 'node:fs';
import type { Finished, Hooks } from '../../../src/protocol/hooks.ts';

const hooks: Hooks = {
  async onAuth({ key, query }) {
    if (key === 'hang') for (;;);
    if (key === 'exit') process.exit(3);
    if (key === 'throw') throw new Error('a fault the test ordered');
    if (key === 'never') await new Promise(() => {});
    if (key === undefined) return { allow: false, status: 402, message: 'bring a key' };
    return {
      allow: true,
      principal: `${key}:${query.get('tenant')}`,
      rights: { models: ['demo'] },
    };
  },
  onRequest({ request, principal }) {
    const said = JSON.stringify(request.messages);
    if (said.includes('forbidden')) {
      return { kind: 'refuse', error: { message: `${principal} may not say that` } };
    }
    if (said.includes('throw')) throw new Error('a fault the test ordered');
    return { kind: 'go' };
  },
  onFinish({ text, principal, outcome, upstream, dialect }: Finished) {
    const file = process.env['MILLRACE_TEST_FINISHED'];
    if (file)
      appendFileSync(file, `${JSON.stringify({ text, principal, outcome, upstream, dialect })}\n`);
  },
};

export default hooks;
