/**
 * Where uWebSockets.js listens. Its core cannot change the certificate that clients without a name get, so new certificates come with a new app: it
 * listens on the same port beside the old one, which then takes no more connections and keeps those it has.
 */
import { lookup } from 'node:dns/promises';
import { createServer } from 'node:http';
import { MillraceError } from '../../errors.ts';
import type { Listening, ListenOptions } from './backend.ts';
import type { Credential, TlsMaterial } from './tls-material.ts';
import type { UwsApp, UwsModule, UwsTlsOptions } from './uws-module.ts';

/** How often a free port is looked for: another process may take it in between. */
const PORT_TRIES = 5;

/** The core cannot be told the oldest version of TLS. A client that knows no 1.3 finds no common cipher here: these need a secret agreed before. */
const ONLY_TLS13 = 'ECDHE-PSK-AES128-CBC-SHA';

export class UwsServer implements Listening {
  readonly #module: UwsModule;
  readonly #options: ListenOptions;
  readonly #serve: (app: UwsApp) => void;
  /** Those before the last listen no more and have sockets that stay. */
  readonly #apps: UwsApp[] = [];
  #token: object | undefined;
  #closed: Promise<void> | undefined;
  host = '';
  port = 0;

  /** `serve`: puts the routes on an app, or on the name of it that was chosen last. */
  constructor(module: UwsModule, options: ListenOptions, serve: (app: UwsApp) => void) {
    this.#module = module;
    this.#options = options;
    this.#serve = serve;
  }

  get secure(): boolean {
    return this.#options.tls !== undefined;
  }

  /** @throws MILLRACE_PORT_TAKEN, MILLRACE_LISTEN_FAILED, MILLRACE_TLS_INVALID */
  async listen(): Promise<void> {
    const { tls } = this.#options;
    this.host = await this.#lookup();
    const app = this.#app(tls);
    this.#apps.push(app);
    try {
      this.#token = tls ? await this.#bindShared(app) : await this.#bind(app, this.#options.port);
    } catch (error) {
      app.close();
      throw error;
    }
    this.port = this.#module.us_socket_local_port(this.#token);
  }

  /** @throws MILLRACE_TLS_INVALID, MILLRACE_LISTEN_FAILED; then everything stays as it was. */
  async renew(tls: TlsMaterial): Promise<void> {
    if (this.#token === undefined) return;
    const app = this.#app(tls);
    const token = await this.#try(app, this.port, 0);
    // Closed meanwhile, or no longer accepting.
    if (!token || this.#token === undefined) {
      app.close();
      if (token || this.#token === undefined) return;
      throw this.#failed(await reasonOf(this.host, this.port));
    }
    this.#apps.push(app);
    const old = this.#token;
    this.#token = token;
    await turn(); // just after the core took what had come: what comes in this moment would be reset
    this.#module.us_listen_socket_close(old);
  }

  unlisten(): void {
    if (this.#token !== undefined) this.#module.us_listen_socket_close(this.#token);
    this.#token = undefined;
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      this.unlisten();
      await turn(); // never inside one of the core's own callbacks
      for (const app of this.#apps) app.close();
      await turn(); // the core frees closed sockets at the end of a turn
    })();
    return this.#closed;
  }

  #app(tls: TlsMaterial | undefined): UwsApp {
    if (tls === undefined) {
      const app = this.#module.App();
      this.#serve(app);
      return app;
    }
    const ciphers = tls.minVersion === 'TLSv1.3' ? { ssl_ciphers: ONLY_TLS13 } : {};
    try {
      const app = this.#module.SSLApp({ ...filesOf(tls), ...ciphers });
      this.#serve(app);
      for (const one of tls.sni) {
        app.addServerName(one.serverName, { ...filesOf(one), ...ciphers });
        app.domain(one.serverName);
        this.#serve(app);
      }
      return app;
    } catch (error) {
      const reason = `uWebSockets.js refuses the certificate in ${tls.certFile}`;
      throw new MillraceError('MILLRACE_TLS_INVALID', { reason }, { cause: error });
    }
  }

  async #lookup(): Promise<string> {
    try {
      return (await lookup(this.#options.host)).address;
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** The core reports no reason, so a second attempt through node:http asks for it. */
  async #bind(app: UwsApp, port: number): Promise<object> {
    const flags = this.#options.reusePort ? 0 : this.#module.LIBUS_LISTEN_EXCLUSIVE_PORT;
    const token = await this.#try(app, port, flags);
    if (token) return token;
    throw this.#failed(await reasonOf(this.host, port));
  }

  /**
   * On a port that a second app of ours may share later. The core marks a port for sharing only when it is told which; that nobody else has it is asked
   * before, because a shared port would not tell.
   */
  async #bindShared(app: UwsApp): Promise<object> {
    const { port: asked, reusePort } = this.#options;
    for (let tries = 1; ; tries++) {
      const port = asked !== 0 && reusePort ? asked : await this.#free(asked);
      const token = await this.#try(app, port, 0);
      if (token) return token;
      if (asked !== 0 || tries === PORT_TRIES) throw this.#failed(await reasonOf(this.host, port));
    }
  }

  async #free(port: number): Promise<number> {
    const free = await probe(this.host, port);
    if (typeof free === 'number') return free;
    throw this.#failed(free);
  }

  #try(app: UwsApp, port: number, flags: number): Promise<object | false> {
    return new Promise((resolve) => {
      app.listen(this.host, port, flags, resolve);
    });
  }

  #failed(error: unknown): MillraceError {
    const { host, port } = this.#options;
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'EADDRINUSE')
      return new MillraceError('MILLRACE_PORT_TAKEN', { host, port }, { cause: error });
    const reason = code || (error instanceof Error ? error.message : String(error));
    return new MillraceError('MILLRACE_LISTEN_FAILED', { host, port, reason }, { cause: error });
  }
}

function filesOf({ certFile, keyFile, passphrase }: Credential): UwsTlsOptions {
  return {
    cert_file_name: certFile,
    key_file_name: keyFile,
    ...(passphrase === undefined ? {} : { passphrase }),
  };
}

/** The port that could be bound alone, or why not. */
function probe(host: string, port: number): Promise<unknown> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', resolve);
    server.listen({ host, port, exclusive: true }, () => {
      const bound = server.address() as { port: number };
      server.close(() => resolve(bound.port));
    });
  });
}

async function reasonOf(host: string, port: number): Promise<unknown> {
  const found = await probe(host, port);
  return typeof found === 'number' ? new Error('the address could not be bound') : found;
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
