/** The contract of contract.test.ts, over TLS: one suite, every implementation. */
import { after, describe } from 'node:test';
import { loadTls } from '../../../../src/main/backend/tls-material.ts';
import { schema } from '../../../../src/options/schema.ts';
import { listeners } from '../../../support/backend/serve.ts';
import { Certificates } from '../../../support/certificates.ts';
import { closing } from './suites/closing.ts';
import { faults } from './suites/faults.ts';
import { floods } from './suites/floods.ts';
import { handshakes } from './suites/handshakes.ts';
import { http } from './suites/http.ts';
import { listening } from './suites/listening.ts';
import { messages } from './suites/messages.ts';
import { sending } from './suites/sending.ts';
import { streams } from './suites/streams.ts';

// The clients of these suites take any certificate: whether it is the right one is asked in tls.test.ts.
process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';

const made = new Certificates();
after(() => made.remove());
const { server } = schema.parse({ server: { tls: made.make('contract') } });
const tls = loadTls(server.tls, Date.now());

const suites = {
  sending,
  messages,
  closing,
  faults,
  handshakes,
  http,
  streams,
  listening,
  floods,
};

for (const implementation of listeners) {
  const { missing, label } = implementation;
  describe(`the backend contract over ${label} and TLS`, { skip: missing ?? false }, () => {
    for (const [name, suite] of Object.entries(suites))
      describe(name, () => suite({ ...implementation, ...(tls && { tls }) }));
  });
}
