/**
 * Which names this server answers to, and which pages may connect.
 *
 * A page of any site can make a browser open a WebSocket here, and a site can point its name at our address (DNS rebinding). Both show in what the
 * browser sends and a page cannot forge: Origin names the page's site, Host the name that was looked up.
 */
import { MillraceError } from '../errors.ts';
import type { Options } from '../options/schema.ts';
import type { RequestHead } from './backend/backend.ts';

export interface SiteRules {
  readonly checkHost: (head: RequestHead) => MillraceError | undefined;
  readonly originAllowed: (head: RequestHead) => boolean;
}

interface Authority {
  readonly name: string;
  /** '' when not written. */
  readonly port: string;
}

export function createSiteRules(server: Options['server']): SiteRules {
  const names = new Set(['localhost', '127.0.0.1', '[::1]']);
  for (const host of server.allowedHosts) names.add(host.toLowerCase());
  const wildcard = server.host === '0.0.0.0' || server.host === '::';
  if (!wildcard) names.add(hostName(server.host));
  const anyHost = names.has('*');
  const origins = new Set(server.allowedOrigins.map(canonicalOrigin));

  /** Bound to every address, the server is at each of them; a name looked up by a browser is never a bare address. */
  const known = ({ name, port }: Authority) =>
    names.has(name) || names.has(`${name}:${port}`) || (wildcard && isAddress(name));

  function checkHost(head: RequestHead): MillraceError | undefined {
    const host = authority(head.header('host') ?? '');
    const held = host !== undefined && head.hosts <= 1 && (anyHost || known(host));
    return held ? undefined : new MillraceError('MILLRACE_HOST_FORBIDDEN', {});
  }

  function originAllowed(head: RequestHead): boolean {
    const origin = head.header('origin');
    if (origin === undefined || origins.has('*') || origins.has(canonicalOrigin(origin)))
      return true;
    const page = /^(https?):\/\/([^/]*)$/i.exec(origin);
    const site = page && authority(page[2]);
    const host = authority(head.header('host') ?? '');
    if (!page || !site || !host) return false;
    const usual = defaultPort(page[1].toLowerCase());
    if ((site.port || usual) !== (host.port || usual)) return false;
    return site.name === host.name || known(site);
  }

  return { checkHost, originAllowed };
}

/** `name[:port]` or `[address][:port]`, nothing else: no user, no path, no blank. */
function authority(text: string): Authority | undefined {
  const parts = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9_.-]{1,253})(?::(\d{1,5}))?$/i.exec(text);
  if (!parts) return undefined;
  return { name: parts[1].toLowerCase(), port: parts[2] ?? '' };
}

function hostName(host: string): string {
  return host.includes(':') ? `[${host.toLowerCase()}]` : host.toLowerCase();
}

function isAddress(name: string): boolean {
  return name.startsWith('[') || /^\d{1,3}(\.\d{1,3}){3}$/.test(name);
}

function defaultPort(scheme: string): string {
  return scheme === 'https' ? '443' : '80';
}

/** As a browser writes it: lower case, without the scheme's own port. */
function canonicalOrigin(origin: string): string {
  const lower = origin.toLowerCase();
  const parts = /^(https?):\/\/(.*):(\d+)$/.exec(lower);
  if (!parts || parts[3] !== defaultPort(parts[1])) return lower;
  return `${parts[1]}://${parts[2]}`;
}
