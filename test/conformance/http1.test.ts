/** HTTP/1.1 over every implementation of the backend contract. What uWebSockets.js does otherwise is written in the case, with the reason. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Implementation, implementations, serve } from '../support/backend/serve.ts';
import { RawClient } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { type RequestCase, requestGroups } from './http1-cases.ts';

/** How long silence must last to be called waiting. */
const QUIET_MS = 400;

for (const implementation of implementations) {
  const { label, missing } = implementation;
  describe(`HTTP/1.1 over ${label}`, { skip: missing ?? false }, () => {
    for (const [group, cases] of Object.entries(requestGroups))
      it(`${group}: ${cases.length} cases`, async (t) => {
        const heard: string[] = [];
        const served = await serve(t, implementation, {
          http(head) {
            heard.push(head.path);
            return { status: 200, headers: {}, body: 'served' };
          },
        });
        const judged = cases.map((one) => judge(one, implementation, served.port));
        assert.deepEqual((await Promise.all(judged)).flat(), []);
        assert.ok(!heard.includes('/hidden'), 'a hidden request was answered');
        assert.deepEqual(served.faults, []);
      });

    it('reads a request the same, wherever it is cut', async (t) => {
      const bodies: string[] = [];
      const served = await serve(t, implementation, {
        http(head, body) {
          bodies.push(`${head.method} ${head.path} ${Buffer.from(body).toString()}`);
          return { status: 200, headers: {}, body: 'ok' };
        },
      });
      const whole = Buffer.from(
        'POST /cut?a=b HTTP/1.1\r\nHost: x\r\nX-Other: value\r\nContent-Length: 11\r\n\r\nhello world',
      );
      const cuts = Array.from({ length: whole.length - 1 }, (_, i) => i + 1);
      await Promise.all(
        cuts.map(async (at) => {
          const client = await RawClient.connect(served.port);
          client.write(whole.subarray(0, at));
          await new Promise((resolve) => setTimeout(resolve, 20)); // the two parts must not join
          client.write(whole.subarray(at));
          await until(() => client.text.endsWith('ok'), `the answer to one cut at ${at}`);
          client.reset();
        }),
      );
      assert.deepEqual(new Set(bodies), new Set(['POST /cut hello world']));
      assert.equal(bodies.length, cuts.length);
    });
  });
}

/** What went otherwise than the case says; nothing: it passed. */
async function judge(
  one: RequestCase,
  { name, modern }: Implementation,
  port: number,
): Promise<string[]> {
  const client = await RawClient.connect(port);
  client.socket.write(one.bytes, 'latin1');
  const quiet = await until(() => client.status > 0 || client.ended, one.name, QUIET_MS).then(
    () => false,
    () => true,
  );
  const did = quiet ? 'wait' : client.status === 200 ? 'serve' : 'refuse';
  const answers = client.statuses.filter((status) => status === 200).length;
  client.reset();
  const other = name === 'uws' && !(one.uws?.old && modern) ? one.uws?.does : undefined;
  if (answers > 1) return [`${one.name}: ${answers} answers`];
  // Whether a core waits or closes without an answer is all the same here.
  const same = did === one.must || did === other || (other === 'wait' && did === 'refuse');
  return same ? [] : [`${one.name}: ${did}, not ${one.must}`];
}
