/** One suite, every implementation (src/main/backend/backend.ts). */
import { describe, it } from 'node:test';
import { uwsFits } from '../../../support/backend/here.ts';
import { implementations, inMemory } from '../../../support/backend/serve.ts';
import { closing } from './suites/closing.ts';
import { deflating } from './suites/deflating.ts';
import { faults } from './suites/faults.ts';
import { floods } from './suites/floods.ts';
import { handshakes } from './suites/handshakes.ts';
import { http } from './suites/http.ts';
import { listening } from './suites/listening.ts';
import { messages } from './suites/messages.ts';
import { sending } from './suites/sending.ts';
import { streams } from './suites/streams.ts';

const suites = {
  sending,
  messages,
  deflating,
  closing,
  faults,
  handshakes,
  http,
  streams,
  listening,
  floods,
};

for (const implementation of [...implementations, inMemory]) {
  const { missing } = implementation;
  describe(`the backend contract over ${implementation.label}`, { skip: missing ?? false }, () => {
    for (const [name, suite] of Object.entries(suites))
      if (implementation.suites?.includes(name) ?? true)
        describe(name, () => suite(implementation));
  });
}

it('runs over ws, and over uWebSockets.js wherever a build of it fits', (t) => {
  const running = implementations.filter(({ missing }) => missing === undefined);
  const names = new Set(running.map(({ name }) => name));
  t.assert.deepEqual([...names].toSorted(), uwsFits ? ['uws', 'ws'] : ['ws']);
});
