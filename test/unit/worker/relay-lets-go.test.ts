import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openaiChat } from '../../../src/protocol/providers/openai-chat.ts';
import type { ModelRequest } from '../../../src/protocol/request.ts';
import { collected, isCollected } from '../../support/collected.ts';
import { rig } from '../../support/relay-rig.ts';

/** A rig whose provider keeps an eye on what it is asked. */
function watched(options = {}) {
  const asked: WeakRef<ModelRequest>[] = [];
  const provider = {
    ...openaiChat,
    encode(...[request, upstream]: Parameters<typeof openaiChat.encode>) {
      asked.push(new WeakRef(request));
      return openaiChat.encode(request, upstream);
    },
  };
  return { asked, r: rig({ options, providers: { 'openai-chat': provider } }) };
}

/** Prompts are long and answers take their time: what nobody can need any more is not kept. */
describe('what a turn was asked with', () => {
  test('is let go of once its answer has begun', async () => {
    const { asked, r } = watched();
    r.open(1);
    r.open(2, 'chat');
    r.ask(1);
    await r.settle();
    r.transport.last.sent().head().say('Hel');
    r.send(2, { message: 'hi' });
    await r.settle();
    r.transport.last.sent().head().say('Hel');
    await r.settle();
    assert.equal(asked.length, 2);
    for (const each of asked) await collected(each, 'a request that is being answered');
    assert.equal(r.count('millrace_streams_running'), 2);
  });

  test('stays while another upstream may have to be asked', async () => {
    const { asked, r } = watched();
    r.open(1);
    r.ask(1);
    await r.settle();
    const [request] = asked;
    r.transport.last.sent().head();
    await r.settle();
    assert.ok(!isCollected(request));
    r.transport.last.fail();
    await r.settle();
    assert.equal(asked.length, 2, 'another one is asked');
    r.transport.last.sent().head().say('Hel');
    await r.settle();
    await collected(request, 'a request that is being answered');
  });

  test('is let go of by hooks and budgets too', async () => {
    const { asked, r } = watched({ limits: { tokens: { global: { streamsMax: 10 } } } });
    r.open(1);
    r.ask(1);
    await r.settle();
    r.transport.last.sent().head().say('Hel');
    await r.settle();
    await collected(asked[0], 'a request that is being answered');
    r.transport.last.stop().done().end();
    await r.settle();
  });
});
