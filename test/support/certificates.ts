/** Certificates of our own making, in a folder that goes with the test. Needs the `openssl` program. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface MadeCertificate {
  readonly certFile: string;
  readonly keyFile: string;
}

export class Certificates {
  readonly folder = mkdtempSync(join(tmpdir(), 'millrace-tls-'));

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Self-signed, for these names besides 127.0.0.1; writes over one of the same name. */
  make(name: string, names: readonly string[] = [`${name}.test`]): MadeCertificate {
    const [certFile, keyFile] = [this.path(`${name}.crt`), this.path(`${name}.key`)];
    const alternatives = [...names.map((each) => `DNS:${each}`), 'IP:127.0.0.1'].join(',');
    openssl(
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-keyout', keyFile, '-out', certFile, '-days', '30'],
      ...['-subj', `/CN=${name}`, '-addext', `subjectAltName=${alternatives}`],
    );
    return { certFile, keyFile };
  }

  /** The same key, encrypted. */
  encrypt(keyFile: string, passphrase: string): string {
    const file = `${keyFile}.enc`;
    openssl('ec', '-in', keyFile, '-aes256', '-passout', `pass:${passphrase}`, '-out', file);
    return file;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function openssl(...args: string[]): void {
  const { status, stderr, error } = spawnSync('openssl', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`openssl ${args[0]}: ${error?.message ?? stderr}`);
}
