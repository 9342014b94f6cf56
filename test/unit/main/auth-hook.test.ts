/** `onAuth` at the door: whoever it does not answer for stays outside, with the status that says why. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type AcceptVerdict, createAccept } from '../../../src/main/accept.ts';
import { createAuthHook } from '../../../src/main/auth-hook.ts';
import type { RequestHead } from '../../../src/main/backend/backend.ts';
import { schema, type UserOptions } from '../../../src/options/schema.ts';
import { type AuthAnswer, readAuthVerdict } from '../../../src/protocol/hooks.ts';
import type { AuthFacts } from '../../../src/threads/messages.ts';
import { Questions } from '../../../src/threads/questions.ts';
import { SimulatedWorld } from '../../support/simulated-world.ts';

/** A worker whose user code a test plays. */
function door(user: UserOptions = {}, { present = true } = {}) {
  const options = schema.parse({
    keys: ['the-key'],
    ...user,
    hooks: { module: 'file:///hooks.js', timeoutMs: 1_000, pendingMax: 2 },
  });
  const world = new SimulatedWorld();
  const asked: { id: number; facts: AuthFacts }[] = [];
  const questions = new Questions((id, facts) => void asked.push({ id, facts }));
  questions.present = present;
  const crew = { asksAuth: present, authDesk: () => ({ worker: 3, desk: questions }) };
  const authenticate = createAuthHook(options, crew, world.ticker);
  const accept = createAccept(options, { ...(authenticate && { authenticate }) });
  return { accept, world, questions, asked };
}

function head(headers: Record<string, string> = {}): RequestHead {
  const all = { host: '127.0.0.1:8080', ...headers };
  return {
    method: 'GET',
    path: '/chat',
    query: 'a=1&b=zw%C3%B6lf',
    header: (name) => (all as Record<string, string | undefined>)[name],
    headers: () => all,
    hosts: 1,
    address: '10.1.2.3',
  };
}

async function refused(verdict: AcceptVerdict | Promise<AcceptVerdict>) {
  const settled = await verdict;
  assert.equal(settled.kind, 'refuse');
  return settled.kind === 'refuse'
    ? { code: settled.error.code, status: settled.reply.status, body: settled.reply.body }
    : assert.fail();
}

describe('onAuth', () => {
  test('is told what the client showed, and decides instead of the keys', async () => {
    const { accept, asked, questions } = door();
    const verdict = accept.decide(head({ authorization: 'Bearer mine' }), 0, 0);
    assert.ok(verdict instanceof Promise);
    assert.deepEqual(asked[0].facts, {
      headers: { host: '127.0.0.1:8080', authorization: 'Bearer mine' },
      query: 'a=1&b=zw%C3%B6lf',
      address: '10.1.2.3',
      path: '/chat',
      key: 'mine',
    });
    questions.answer(asked[0].id, { allow: true, principal: 'ada', rights: { models: ['m'] } });
    assert.deepEqual(await verdict, {
      kind: 'session',
      dialect: 'chat',
      principal: 'ada',
      rights: { models: ['m'] },
      worker: 3,
    });
  });

  test('a refusal has the status and the sentence it chose', async () => {
    const { accept, asked, questions } = door();
    const verdict = accept.decide(head(), 0, 0);
    questions.answer(asked[0].id, { allow: false, status: 402, message: 'pay first' });
    const { code, status, body } = await refused(verdict);
    assert.deepEqual([code, status], ['MILLRACE_AUTH_REFUSED', 402]);
    assert.match(String(body), /"message":"pay first"/);
  });

  test('no answer in time, a worker that died, a hook that failed: 503, typed', async () => {
    const late = door();
    const verdict = late.accept.decide(head(), 0, 0);
    await late.world.pass(1_200);
    assert.deepEqual(Object.values(await refused(verdict)).slice(0, 2), [
      'MILLRACE_HOOK_FAILED',
      503,
    ]);
    late.questions.answer(late.asked[0].id, { allow: true, principal: 'late' });
    const dead = door();
    const waiting = dead.accept.decide(head(), 0, 0);
    dead.questions.close();
    assert.equal((await refused(waiting)).status, 503);
    assert.equal((await refused(dead.accept.decide(head(), 0, 0))).code, 'MILLRACE_HOOK_FAILED');
    assert.equal(late.world.timers, 0);
  });

  test('questions are bounded: beyond hooks.pendingMax a client is refused at once', async () => {
    const { accept, asked } = door();
    void accept.decide(head(), 0, 0);
    void accept.decide(head(), 0, 0);
    const { code } = await refused(accept.decide(head(), 0, 0));
    assert.equal(code, 'MILLRACE_OVERLOADED');
    assert.equal(asked.length, 2);
  });

  test('a failure of ours is no guess of the client: it is not locked out for it', async () => {
    const { accept, questions } = door({ server: { authFailuresPerAddressMax: 1 } });
    questions.close();
    for (let n = 0; n < 5; n++) {
      assert.equal((await refused(accept.decide(head(), n, 0))).code, 'MILLRACE_HOOK_FAILED');
    }
  });

  test('a hooks module without it leaves the keys in force', () => {
    const { accept, asked } = door({}, { present: false });
    const known = accept.decide(head({ authorization: 'Bearer the-key' }), 0, 0);
    assert.ok(!(known instanceof Promise) && known.kind === 'session');
    const unknown = accept.decide(head(), 0, 0);
    assert.ok(!(unknown instanceof Promise) && unknown.kind === 'refuse');
    assert.equal(asked.length, 0);
  });
});

describe('what onAuth may answer', () => {
  const answers: readonly [unknown, AuthAnswer][] = [
    [
      { allow: true, principal: 'ada', secret: 1 },
      { allow: true, principal: 'ada' },
    ],
    [
      { allow: true, principal: 'ada', rights: { tier: 'gold', more: 1 } },
      { allow: true, principal: 'ada', rights: { tier: 'gold' } },
    ],
    [{ allow: false }, { allow: false, status: 401, message: 'access refused' }],
    [
      { allow: false, status: 200, message: 'no' },
      { allow: false, status: 401, message: 'no' },
    ],
    [
      { allow: false, status: 599 },
      { allow: false, status: 599, message: 'access refused' },
    ],
  ];
  for (const [said, read] of answers) {
    test(JSON.stringify(said), () => assert.deepEqual(readAuthVerdict(said), read));
  }
  for (const said of [
    undefined,
    true,
    {},
    { allow: 'yes', principal: 'a' },
    { allow: true },
    { allow: true, principal: '' },
    { allow: true, principal: 'a\nb' },
    { allow: true, principal: 'a'.repeat(257) },
    { allow: true, principal: 'a', rights: { models: 'all' } },
    { allow: true, principal: 'a', rights: { tier: 3 } },
  ]) {
    test(`${JSON.stringify(said)} is none`, () => {
      assert.throws(() => readAuthVerdict(said), TypeError);
    });
  }
});
