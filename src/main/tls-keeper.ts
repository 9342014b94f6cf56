/**
 * The certificates while millrace runs: read again when the options change or when the files do, and handed to whoever listens. What cannot be used is told,
 * and the certificates in force stay.
 */
import { promises as fs } from 'node:fs';
import { asMillraceError, type MillraceError } from '../errors.ts';
import type { Options } from '../options/schema.ts';
import type { Clock, Random, Ticker } from '../policy/ports.ts';
import type { Listening } from './backend/backend.ts';
import { loadTls, type TlsMaterial } from './backend/tls-material.ts';

type TlsOptions = Options['server']['tls'];

export interface TlsKeeperParts {
  readonly tls: TlsOptions;
  readonly clock: Pick<Clock, 'wall'>;
  readonly random: Pick<Random, 'next'>;
  readonly ticker: Pick<Ticker, 'after'>;
  /** New certificates are in force. */
  renewed(certFile: string): void;
  warn(text: string): void;
  /** New ones could not be used. */
  failed(error: MillraceError): void;
}

export class TlsKeeper {
  readonly #parts: TlsKeeperParts;
  #tls: TlsOptions;
  #listening: Listening | undefined;
  /** How the files looked when they were read last, well or not. */
  #seen = '';
  #cancel: (() => void) | undefined;
  #stopped = false;

  constructor(parts: TlsKeeperParts) {
    this.#parts = parts;
    this.#tls = parts.tls;
  }

  /** For the start; undefined: no TLS. @throws MILLRACE_TLS_INVALID */
  async load(): Promise<TlsMaterial | undefined> {
    this.#seen = await looks(this.#tls);
    return this.#read();
  }

  /** From here on this one follows. */
  keep(listening: Listening): void {
    if (!listening.renew) return;
    this.#listening = listening;
    this.#watch();
  }

  /** Reads the files again, changed or not. Resolves with what was wrong, when the old certificates stay. */
  async reconfigure({ server }: Options): Promise<MillraceError | undefined> {
    if (this.#stopped) return undefined;
    if (!this.#listening) {
      if (server.tls.certFile !== undefined)
        this.#parts.warn('TLS is turned on at the next start only');
      return undefined;
    }
    const former = this.#tls;
    this.#tls = server.tls;
    const error = await this.#renew();
    if (error) this.#tls = former;
    this.#watch();
    return error;
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  #read(): TlsMaterial | undefined {
    const material = loadTls(this.#tls, this.#parts.clock.wall());
    for (const warning of material?.warnings ?? []) this.#parts.warn(warning);
    return material;
  }

  async #renew(): Promise<MillraceError | undefined> {
    try {
      this.#seen = await looks(this.#tls);
      const material = this.#read();
      if (!material) {
        this.#parts.warn('TLS is turned off at the next start only');
        return undefined;
      }
      await this.#listening?.renew?.(material);
      this.#parts.renewed(material.certFile);
      return undefined;
    } catch (thrown) {
      const error = asMillraceError(thrown);
      this.#parts.failed(error);
      return error;
    }
  }

  /** Spread out, so that many processes do not look at one file server at once. */
  #watch(): void {
    this.#cancel?.();
    const { watchMs } = this.#tls;
    if (watchMs === 0 || this.#stopped) return;
    const { ticker, random } = this.#parts;
    this.#cancel = ticker.after(watchMs * (0.75 + random.next() / 2), () => void this.#look());
  }

  /** Files that are written one after the other look changed again when the last is there. */
  async #look(): Promise<void> {
    const now = await looks(this.#tls);
    if (now !== this.#seen && !this.#stopped) await this.#renew();
    this.#watch();
  }
}

/** Time, size and place of every file that is named, as one text. */
async function looks({ certFile, keyFile, caFile, sni }: TlsOptions): Promise<string> {
  const named = [certFile, keyFile, caFile, ...sni.flatMap((one) => [one.certFile, one.keyFile])];
  const files = named.filter((file) => file !== undefined);
  const seen = files.map(async (file) => {
    const found = await fs.stat(file).catch(() => undefined);
    return found ? `${found.mtimeMs} ${found.size} ${found.ino}` : 'absent';
  });
  return (await Promise.all(seen)).join('; ');
}
