/** The simulated upstreams of the demo. */
import { MillraceError } from '../errors.ts';
import { demoUpstreamNames } from '../options/names.ts';
import type { Options, UpstreamOptions } from '../options/schema.ts';
import { type FromSimulate, spawnSimulated } from '../threads/spawn.ts';
import type { Started } from './started.ts';

/** Two simulated upstreams on a thread of their own, serving the model "demo". None when the demo is off. */
export async function startDemo(options: Options, started: Started): Promise<UpstreamOptions[]> {
  if (!options.demo.enabled) return [];
  const { seed, tokensPerSecond, firstTokenMs } = options.demo;
  const servers = demoUpstreamNames.map((name, at) => ({
    name,
    seed: seed + at,
    tokensPerSecond,
    firstTokenMs,
  }));
  const thread = spawnSimulated({ servers });
  started.then(() => thread.end());
  const urls = await new Promise<readonly string[]>((resolve, reject) => {
    const fail = (reason: string) =>
      reject(new MillraceError('MILLRACE_START_FAILED', { thread: 'simulated upstream', reason }));
    thread.channel.listen((message: FromSimulate) => {
      if (message.type === 'ready') resolve(message.urls);
      else fail(MillraceError.fromWire(message.error).message);
    });
    void thread.gone.then(fail);
  });
  return urls.map((url, at) => ({
    name: demoUpstreamNames[at],
    provider: 'openai-chat' as const,
    url,
    models: ['demo'],
    apiKeys: [],
    resume: 'none' as const,
    reader: 'auto' as const,
    continues: false,
    weight: 1,
    minConnections: 5,
    maxConnections: 10_000,
    reuse: false,
    healthPath: '/healthz',
  }));
}
