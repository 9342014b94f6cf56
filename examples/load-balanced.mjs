// Two upstreams, one of which fails: nobody notices. Everything in one process, without a port for clients.
import { createEngine } from 'millrace';
import { connect, simulatedUpstream } from 'millrace/testing';

const options = { tokensPerSecond: 2_000, firstTokenMs: 5 };
const upstreams = [
  await simulatedUpstream({ ...options, name: 'north', seed: 1 }),
  await simulatedUpstream({ ...options, name: 'south', seed: 2 }),
];
const engine = createEngine({
  admin: { enabled: false },
  log: { level: 'silent' },
  balance: { loadBalanceStrategy: 'LeastConnections' },
  upstreams: upstreams.map(({ name, url }) => ({ name, url, models: ['demo'] })),
});

const client = await connect(engine, '/chat');
async function ask(message) {
  client.send({ message });
  let answer = '';
  for (;;) {
    const { content, done, error, upstream } = await client.nextJson();
    if (error) throw new Error(error.message);
    answer += content;
    if (done) return { upstream, characters: answer.length };
  }
}

console.log('both are well:', await ask('Why do rivers bend?'));
upstreams[0].faults.set({ status: 503 });
for (let turn = 1; turn <= 4; turn++)
  console.log('north is ill: ', await ask('And why do they meander?'));
console.log(
  upstreams.map(({ name, journal }) => `${name} was asked ${journal.requests} times`).join(', '),
);

client.close();
await engine.close();
for (const upstream of upstreams) await upstream.close();
