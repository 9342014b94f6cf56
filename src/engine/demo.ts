/** The simulated upstreams of the demo. */
import { MillraceError } from '../errors.ts';
import { demoUpstreamNames } from '../options/names.ts';
import type { Options, UpstreamOptions } from '../options/schema.ts';
import { type FromSimulate, spawnSimulated } from '../threads/spawn.ts';

/** Two simulated upstreams on a thread of their own, serving the model "demo". */
export class Demo {
  readonly #thread: ReturnType<typeof spawnSimulated>;
  readonly #urls: Promise<readonly string[]>;

  /** Starts them. */
  constructor({ seed, tokensPerSecond, firstTokenMs }: Options['demo']) {
    const servers = demoUpstreamNames.map((name, at) => ({
      name,
      seed: seed + at,
      tokensPerSecond,
      firstTokenMs,
    }));
    const thread = spawnSimulated({ servers });
    this.#thread = thread;
    this.#urls = new Promise((resolve, reject) => {
      const fail = (reason: string) =>
        reject(
          new MillraceError('MILLRACE_START_FAILED', { thread: 'simulated upstream', reason }),
        );
      thread.channel.listen((message: FromSimulate) => {
        if (message.type === 'ready') resolve(message.urls);
        else fail(MillraceError.fromWire(message.error).message);
      });
      void thread.gone.then(fail);
    });
    // Whoever asks for the upstreams hears it.
    this.#urls.catch(() => {});
  }

  /** Once they listen. @throws MILLRACE_START_FAILED */
  async upstreams(): Promise<UpstreamOptions[]> {
    const urls = await this.#urls;
    return urls.map((url, at) => ({
      name: demoUpstreamNames[at],
      provider: 'openai-chat' as const,
      url,
      models: ['demo'],
      apiKeys: [],
      resume: 'none' as const,
      reader: 'auto' as const,
      continues: false,
      continuesById: false,
      weight: 1,
      minConnections: 5,
      maxConnections: 10_000,
      reuse: false,
      healthPath: '/healthz',
    }));
  }

  end(): Promise<void> {
    return this.#thread.end();
  }
}
