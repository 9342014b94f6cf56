/** A ticket is good once, for a moment, for the one who asked for it. */
import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { MillraceError } from '../../../src/errors.ts';
import { type AcceptParts, createAccept } from '../../../src/main/accept.ts';
import type { RequestHead } from '../../../src/main/backend/backend.ts';
import { Tickets } from '../../../src/main/tickets.ts';
import { resolveOptions } from '../../../src/options/resolve.ts';
import type { UserOptions } from '../../../src/options/schema.ts';

const fill = (bytes: Uint8Array) => void randomFillSync(bytes);
const bounds = { path: '/v1/tickets', ttlMs: 1_000, outstandingMax: 3, outstandingPerKeyMax: 2 };

describe('the store', () => {
  it('gives 128 random bits, each ticket another', () => {
    const drawn: number[] = [];
    const tickets = new Tickets((bytes) => (drawn.push(bytes.length), fill(bytes)));
    const many = Array.from({ length: 1_000 }, (_, n) =>
      tickets.issue({ principal: String(n) }, { ...bounds, outstandingMax: 1_000 }, 0),
    );
    assert.equal(new Set(many).size, 1_000);
    for (const ticket of many) assert.match(String(ticket), /^mt_[A-Za-z0-9_-]{22}$/);
    assert.ok(drawn.slice(1).every((length) => length === 16));
  });

  it('takes a ticket once, in time', () => {
    const tickets = new Tickets(fill);
    const issue = (ms: number) => {
      const ticket = tickets.issue({ principal: 'a' }, bounds, ms);
      assert.ok(typeof ticket === 'string');
      return ticket;
    };
    const first = issue(0);
    assert.equal(tickets.redeem(first, 999)?.principal, 'a');
    assert.equal(tickets.redeem(first, 999), undefined);
    const second = issue(1_000);
    assert.equal(tickets.redeem(second, 2_000), undefined, 'its time is over');
    assert.equal(tickets.redeem(second, 1_500), undefined, 'and it is spent');
    for (const wrong of ['', 'mt_', first.slice(0, -1), `${first}A`, first.toLowerCase()])
      assert.equal(tickets.redeem(wrong, 0), undefined);
    assert.equal(tickets.outstanding, 0);
  });

  it('holds no more than its bounds, in all and for one key, and makes room as they end', () => {
    const tickets = new Tickets(fill);
    const issue = (principal: string, ms: number) => {
      const ticket = tickets.issue({ principal }, bounds, ms);
      return ticket instanceof MillraceError ? `${ticket.code} ${ticket.details['max']}` : 'ticket';
    };
    assert.deepEqual(
      [issue('a', 0), issue('a', 1), issue('a', 2)],
      ['ticket', 'ticket', 'MILLRACE_TICKETS_EXHAUSTED 2'],
    );
    assert.deepEqual([issue('b', 3), issue('c', 4)], ['ticket', 'MILLRACE_TICKETS_EXHAUSTED 3']);
    assert.deepEqual([issue('c', 1_000), issue('a', 1_001)], ['ticket', 'ticket']);
    assert.equal(tickets.outstanding, 3);
  });
});

function request(parts: Partial<RequestHead>, headers: Readonly<Record<string, string>> = {}) {
  const all: Record<string, string> = { host: 'localhost', ...headers };
  const header = (name: string) => all[name];
  return {
    method: 'GET',
    path: '/chat',
    query: '',
    header,
    hosts: 1,
    address: '203.0.113.9',
    ...parts,
  };
}

const keys = [
  { name: 'a', key: 'k-a', models: ['demo'] },
  { name: 'b', key: 'k-b', paths: ['chat'] },
];

function door(user: UserOptions = {}, parts: AcceptParts = {}) {
  const resolve = (more: UserOptions) =>
    resolveOptions({ code: { keys, ...user, ...more } }).options;
  const accept = createAccept(resolve({}), parts);
  return {
    accept,
    change: (more: UserOptions) => accept.reconfigure(resolve(more)),
    ticket: (key: string, nowMs = 0): string => {
      const head = request(
        { method: 'POST', path: '/v1/tickets' },
        { authorization: `Bearer ${key}` },
      );
      const issued = accept.issueTicket(head, nowMs);
      assert.ok(!(issued instanceof Promise));
      return issued instanceof MillraceError ? issued.code : issued.ticket;
    },
    come: (
      query: string,
      nowMs = 0,
      path = '/chat',
      headers: Readonly<Record<string, string>> = {},
    ) => {
      const verdict = accept.decide(request({ query, path }, headers), nowMs, 0);
      assert.ok(!(verdict instanceof Promise));
      return verdict.kind === 'session' ? verdict : verdict.error.code;
    },
  };
}

describe('at the door', () => {
  it('a ticket stands for its key, with name and rights', () => {
    const { ticket, come } = door();
    const verdict = come(`x=1&ticket=${ticket('k-a')}`);
    assert.ok(typeof verdict === 'object');
    assert.deepEqual(
      [verdict.keyName, verdict.rights, verdict.byKey],
      ['a', { models: ['demo'] }, true],
    );
  });

  it('used, unknown, too old, twice in one address: one identical answer', () => {
    const { accept, ticket, come } = door();
    const spent = ticket('k-a');
    assert.equal(typeof come(`ticket=${spent}`), 'object');
    const [old, one, two] = [ticket('k-a'), ticket('k-a'), ticket('k-a')];
    const answers = [
      [`ticket=${spent}`, 0],
      ['ticket=mt_AAAAAAAAAAAAAAAAAAAAAA', 0],
      ['ticket=', 0],
      [`ticket=${one}&ticket=${two}`, 0],
      [`ticket=${old}`, 30_000],
    ] as const;
    const replies = answers.map(([query, ms]) => {
      const verdict = accept.decide(request({ query }), ms, 0);
      assert.ok(!(verdict instanceof Promise) && verdict.kind === 'refuse');
      assert.equal(verdict.error.code, 'MILLRACE_TICKET_INVALID');
      return JSON.stringify(verdict.reply);
    });
    assert.equal(new Set(replies).size, 1);
    assert.match(replies[0], /"status":401.*WWW-Authenticate/);
  });

  it('a wrong ticket is not made good by a right key beside it', () => {
    const { come } = door();
    const got = come('ticket=no', 0, '/chat', { authorization: 'Bearer k-a' });
    assert.equal(got, 'MILLRACE_TICKET_INVALID');
  });

  it('a ticket is no key for another ticket, nor for a plain request', () => {
    const { accept, ticket } = door();
    const head = request({ method: 'POST', path: '/v1/tickets', query: `ticket=${ticket('k-a')}` });
    for (const found of [accept.issueTicket(head, 0), accept.identify(head, 0)])
      assert.ok(found instanceof MillraceError && found.code === 'MILLRACE_KEY_MISSING');
  });

  it('a key that may use one path gets tickets for that path only', () => {
    const { ticket, come } = door();
    assert.equal(typeof come(`ticket=${ticket('k-b')}`), 'object');
    assert.equal(come(`ticket=${ticket('k-b')}`, 0, '/ws'), 'MILLRACE_PATH_FORBIDDEN');
  });

  it('tickets of a key that is gone are refused; what the key allows at the upgrade is what counts', () => {
    const { ticket, come, change } = door();
    const [first, second] = [ticket('k-a'), ticket('k-a')];
    change({ keys: [{ name: 'a', key: 'k-a', models: ['other'] }] });
    const verdict = come(`ticket=${first}`);
    assert.ok(typeof verdict === 'object');
    assert.deepEqual(verdict.rights, { models: ['other'] });
    change({ keys: ['k-c'] });
    assert.equal(come(`ticket=${second}`), 'MILLRACE_TICKET_INVALID');
    change({});
    assert.equal(come(`ticket=${second}`), 'MILLRACE_TICKET_INVALID', 'it is spent for good');
  });

  it('guessing tickets counts as failing with keys', () => {
    const { ticket, come } = door({ server: { authFailuresPerAddressMax: 2 } });
    const good = ticket('k-a');
    assert.equal(come('ticket=guess'), 'MILLRACE_TICKET_INVALID');
    assert.equal(come('ticket=guess'), 'MILLRACE_TICKET_INVALID');
    assert.equal(come(`ticket=${good}`), 'MILLRACE_AUTH_LIMITED');
    assert.equal(ticket('k-a'), 'MILLRACE_AUTH_LIMITED');
    assert.equal(typeof come(`ticket=${good}`, 1_000), 'object', 'it was not spent meanwhile');
  });

  it('whom the application’s own check lets in gets tickets too, and is not asked for again with them', async () => {
    let asked = 0;
    const authenticate = () => (asked++, Promise.resolve({ principal: 'guest', keyName: 'g' }));
    const { accept, come } = door({ keys: [] }, { authenticate });
    assert.equal(accept.issuesTickets, true);
    const issued = await accept.issueTicket(request({ method: 'POST' }), 0);
    assert.ok(!(issued instanceof MillraceError));
    const verdict = come(`ticket=${issued.ticket}`);
    assert.ok(typeof verdict === 'object' && verdict.principal === 'guest');
    assert.equal(asked, 1);
  });

  it('without keys there are none, and what looks like one is left alone', () => {
    const { accept, come } = door({ keys: [] });
    assert.equal(accept.issuesTickets, false);
    assert.equal(typeof come('ticket=whatever'), 'object');
  });
});
