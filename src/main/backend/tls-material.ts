/**
 * Certificates and keys from files, looked at before any server sees them: what is wrong is said in a sentence that names the file. The servers
 * themselves would say "no start line", or nothing.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { MillraceError } from '../../errors.ts';
import type { Options } from '../../options/schema.ts';

type TlsOptions = Options['server']['tls'];

/** No chain and no key is longer. */
const FILE_BYTES_MAX = 1024 * 1024;

export interface Credential {
  readonly certFile: string;
  readonly keyFile: string;
  readonly passphrase: string | undefined;
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** What a listener needs, and what its operator should know. */
export interface TlsMaterial extends Credential {
  readonly minVersion: TlsOptions['minVersion'];
  /** Clients must show a certificate of one of these authorities. */
  readonly ca: Buffer | undefined;
  readonly caFile: string | undefined;
  readonly sni: readonly (Credential & { readonly serverName: string })[];
  readonly warnings: readonly string[];
}

/**
 * Undefined: no TLS is asked for. `wallMs`: now, for certificates that have ended (a warning: the operator may have nothing better yet).
 *
 * @throws MILLRACE_TLS_INVALID
 */
export function loadTls(tls: TlsOptions, wallMs: number): TlsMaterial | undefined {
  const { certFile, keyFile, passphrase, caFile, minVersion } = tls;
  if (certFile === undefined) {
    const lone = keyFile ?? caFile ?? tls.sni[0]?.certFile;
    if (lone === undefined) return undefined;
    throw invalid(`${lone} is of no use without server.tls.certFile`);
  }
  const warnings: string[] = [];
  const main = credential(certFile, keyFile, passphrase, wallMs, warnings);
  const ca = caFile === undefined ? undefined : read(caFile);
  if (caFile !== undefined && ca) certificates(caFile, ca);
  const names = new Set<string>();
  const sni = tls.sni.map((entry) => {
    const serverName = entry.serverName.toLowerCase();
    if (names.has(serverName)) throw invalid(`server.tls.sni names ${serverName} twice`);
    names.add(serverName);
    const one = credential(entry.certFile, entry.keyFile, entry.passphrase, wallMs, warnings);
    const sample = serverName.replace('*', 'any');
    if (new X509Certificate(one.cert).checkHost(sample) === undefined)
      warnings.push(`the certificate in ${one.certFile} is not for ${serverName}`);
    return { ...one, serverName };
  });
  return { ...main, minVersion, ca, caFile, sni, warnings };
}

function credential(
  certFile: string,
  asked: string | undefined,
  passphrase: string | undefined,
  wallMs: number,
  warnings: string[],
): Credential {
  const keyFile = asked ?? certFile;
  const cert = read(certFile);
  const [leaf] = certificates(certFile, cert);
  const key = read(keyFile);
  if (!leaf.checkPrivateKey(privateKey(keyFile, key, passphrase)))
    throw invalid(`the key in ${keyFile} does not belong to the certificate in ${certFile}`);
  if (Date.parse(leaf.validTo) <= wallMs)
    warnings.push(`the certificate in ${certFile} has ended on ${leaf.validTo}`);
  if (Date.parse(leaf.validFrom) > wallMs)
    warnings.push(`the certificate in ${certFile} begins only on ${leaf.validFrom}`);
  try {
    createSecureContext({ cert, key, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (error) {
    throw invalid(`OpenSSL refuses the certificate in ${certFile}: ${reasonOf(error)}`, error);
  }
  return { certFile, keyFile, passphrase, cert, key };
}

function read(file: string): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    throw invalid(`${file} ${unreadable[code] ?? `cannot be read: ${reasonOf(error)}`}`, error);
  }
  if (bytes.length === 0) throw invalid(`${file} is empty`);
  if (bytes.length > FILE_BYTES_MAX) throw invalid(`${file} is too large for a certificate or key`);
  return bytes;
}

const unreadable: Readonly<Record<string, string | undefined>> = {
  ENOENT: 'does not exist',
  EISDIR: 'is a directory',
  EACCES: 'may not be read by this process',
};

/** Every certificate of the chain, so that a broken one in its middle is found here. */
function certificates(file: string, pem: Buffer): X509Certificate[] {
  const blocks = pem
    .toString('latin1')
    .match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g);
  if (!blocks) throw invalid(`${file} holds no certificate in PEM`);
  return blocks.map((block, at) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw invalid(`certificate ${at + 1} in ${file} is damaged`, error);
    }
  });
}

function privateKey(file: string, pem: Buffer, passphrase: string | undefined): KeyObject {
  const text = pem.toString('latin1');
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text))
    throw invalid(`${file} holds no private key in PEM`);
  const encrypted = /BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: 4,ENCRYPTED/.test(text);
  if (encrypted && passphrase === undefined)
    throw invalid(`the key in ${file} is encrypted, and no passphrase is given`);
  try {
    return createPrivateKey({ key: pem, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (error) {
    const why = encrypted ? 'cannot be opened with the passphrase given' : 'is damaged';
    throw invalid(`the key in ${file} ${why}`, error);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function invalid(reason: string, cause?: unknown): MillraceError {
  return new MillraceError('MILLRACE_TLS_INVALID', { reason }, { cause });
}

/** Which of the names a client asked for: the name itself, or one with a star for its first label (RFC 9525 section 6.3). */
export function matchServerName<T>(name: string, among: ReadonlyMap<string, T>): T | undefined {
  const lower = name.toLowerCase();
  const dot = lower.indexOf('.');
  return among.get(lower) ?? (dot > 0 ? among.get(`*${lower.slice(dot)}`) : undefined);
}
