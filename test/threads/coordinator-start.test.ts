import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { UpstreamWord } from '../../src/memory/layout.ts';
import { openThreadCells } from '../../src/memory/thread-cells.ts';
import { openUpstreamTable } from '../../src/memory/upstream-table.ts';
import { schema } from '../../src/options/schema.ts';
import { Health } from '../../src/policy/health.ts';
import { allocateShared } from '../../src/threads/allocate.ts';
import { COORDINATOR_ROW } from '../../src/threads/roster.ts';
import { spawnCoordinator } from '../../src/threads/spawn.ts';
import { firstConfiguration } from '../support/first-configuration.ts';
import { until } from '../support/until.ts';

test('an upstream that answers its first probe is never seen as failed', async () => {
  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const options = schema.parse({
    upstreams: [{ name: 'one', url: `http://127.0.0.1:${port}/v1` }],
    balance: { healthCheckIntervalMs: 50 },
  });
  const shared = allocateShared(options, 1, 8);
  const generation = openThreadCells(shared.threads).renew(COORDINATOR_ROW);
  const table = openUpstreamTable(shared.upstreams);
  const seen = new Set<number>();
  const coordinator = spawnCoordinator({ generation, ...firstConfiguration(options), shared });
  try {
    await until(() => {
      if (table.get(0, UpstreamWord.present) === 1) seen.add(table.get(0, UpstreamWord.health));
      return seen.has(Health.good);
    }, 'a good first probe');
    assert.ok(!seen.has(Health.failed));
  } finally {
    await coordinator.end();
    server.close();
  }
});
