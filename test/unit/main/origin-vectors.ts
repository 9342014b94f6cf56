/** Who may connect, by the names in the request: what a browser sends, and what somebody might forge or trick it into. */
import type { UserOptions } from '../../../src/options/schema.ts';

export interface OriginVector {
  readonly name: string;
  readonly server?: NonNullable<UserOptions['server']>;
  readonly host: string;
  /** How often Host was sent. */
  readonly hosts?: number;
  readonly origin?: string;
  /** Let in, or refused for its Host or Origin. */
  readonly expected: 'session' | 'host' | 'origin';
}

const here = '127.0.0.1:8080';
const page = (origin: string, expected: OriginVector['expected'], name = origin): OriginVector => ({
  name,
  host: here,
  origin,
  expected,
});
const named = (host: string, expected: OriginVector['expected']): OriginVector => ({
  name: `Host ${host || 'empty'}`,
  host,
  expected,
});
const proxied = { allowedHosts: ['chat.example.com'] };

export const origins: readonly OriginVector[] = [
  // Host alone: programs send no Origin.
  named('localhost', 'session'),
  named('localhost:8080', 'session'),
  named('LocalHost:9', 'session'),
  named('127.0.0.1', 'session'),
  named('[::1]:8080', 'session'),
  named('', 'host'),
  named('evil.example', 'host'),
  named('evil.example:8080', 'host'),
  named('localhost.evil.example', 'host'),
  named('evil-localhost', 'host'),
  named('127.0.0.1.nip.io', 'host'),
  named('127.0.0.2', 'host'),
  named('localhost@evil.example', 'host'),
  named('localhost/evil', 'host'),
  named('localhost:80:80', 'host'),
  named('localhost:', 'host'),
  named('localhost, evil.example', 'host'),
  named(' localhost', 'host'),
  named('0.0.0.0:8080', 'host'),
  named('169.254.169.254', 'host'),
  { name: 'two Hosts', host: 'localhost', hosts: 2, expected: 'host' },
  { name: 'a configured name', server: proxied, host: 'chat.example.com', expected: 'session' },
  { name: 'a part of it', server: proxied, host: 'example.com', expected: 'host' },
  { name: 'one below it', server: proxied, host: 'x.chat.example.com', expected: 'host' },
  {
    name: 'a configured name with its port',
    server: { allowedHosts: ['a.example:81'] },
    host: 'a.example:81',
    expected: 'session',
  },
  {
    name: 'that name with another port',
    server: { allowedHosts: ['a.example:81'] },
    host: 'a.example:82',
    expected: 'host',
  },
  { name: 'any host', server: { allowedHosts: ['*'] }, host: 'x.example', expected: 'session' },
  {
    name: 'any host, but a host',
    server: { allowedHosts: ['*'] },
    host: 'x y',
    expected: 'host',
  },
  {
    name: 'the bound address',
    server: { host: '192.0.2.7' },
    host: '192.0.2.7:1',
    expected: 'session',
  },
  { name: 'another address', server: { host: '192.0.2.7' }, host: '192.0.2.8:1', expected: 'host' },
  {
    name: 'an address of a server on all of them',
    server: { host: '0.0.0.0' },
    host: '192.0.2.8',
    expected: 'session',
  },
  {
    name: 'a name of a server on all addresses',
    server: { host: '0.0.0.0' },
    host: 'rebound.example',
    expected: 'host',
  },
  {
    name: 'a bound IPv6 address',
    server: { host: '2001:db8::1' },
    host: '[2001:db8::1]:8080',
    expected: 'session',
  },

  // Pages.
  page('http://127.0.0.1:8080', 'session'),
  page('http://localhost:8080', 'session'),
  page('http://[::1]:8080', 'session'),
  page('HTTP://LOCALHOST:8080', 'session'),
  page('https://localhost:8080', 'session', 'the same port behind TLS'),
  page('http://localhost', 'origin', 'another port: 80'),
  page('http://localhost:8081', 'origin', 'another port'),
  page('http://localhost:80801', 'origin'),
  page('http://evil.example', 'origin'),
  page('http://evil.example:8080', 'origin', 'a foreign page on our port'),
  page('http://localhost.evil.example:8080', 'origin'),
  page('http://evillocalhost:8080', 'origin'),
  page('http://localhost:8080.evil.example', 'origin'),
  page('http://localhost:8080@evil.example', 'origin'),
  page('http://evil.example#localhost:8080', 'origin'),
  page('http://localhost:8080/', 'origin', 'a path, which no browser sends'),
  page('null', 'origin', 'a sandboxed page'),
  page('', 'origin', 'an empty Origin'),
  page('file://', 'origin'),
  page('chrome-extension://abcdef', 'origin'),
  page('ws://localhost:8080', 'origin'),
  page('javascript:alert(1)', 'origin'),
  page('http://localhost:8080, http://evil.example', 'origin', 'two Origins'),
  page('//localhost:8080', 'origin'),
  page('localhost:8080', 'origin'),
  {
    name: 'a page of a rebound name',
    host: 'rebound.example:8080',
    origin: 'http://rebound.example:8080',
    expected: 'host',
  },
  {
    name: 'the page behind a TLS proxy',
    server: proxied,
    host: 'chat.example.com',
    origin: 'https://chat.example.com',
    expected: 'session',
  },
  {
    name: 'a page of the proxied host on another port',
    server: proxied,
    host: 'chat.example.com',
    origin: 'https://chat.example.com:8443',
    expected: 'origin',
  },
  {
    name: 'a foreign page where any host is served',
    server: { allowedHosts: ['*'] },
    host: 'x.example',
    origin: 'http://evil.example',
    expected: 'origin',
  },
  {
    name: 'its own page where any host is served',
    server: { allowedHosts: ['*'] },
    host: 'x.example',
    origin: 'https://x.example',
    expected: 'session',
  },
  {
    name: 'a configured origin',
    server: { allowedOrigins: ['https://app.example.com:443'] },
    host: here,
    origin: 'https://app.example.com',
    expected: 'session',
  },
  {
    name: 'a configured origin with another scheme',
    server: { allowedOrigins: ['https://app.example.com'] },
    host: here,
    origin: 'http://app.example.com',
    expected: 'origin',
  },
  {
    name: 'a configured origin with more behind it',
    server: { allowedOrigins: ['https://app.example.com'] },
    host: here,
    origin: 'https://app.example.com.evil.example',
    expected: 'origin',
  },
  {
    name: 'an extension that is configured',
    server: { allowedOrigins: ['chrome-extension://abcdef'] },
    host: here,
    origin: 'chrome-extension://abcdef',
    expected: 'session',
  },
  {
    name: 'any origin',
    server: { allowedOrigins: ['*'] },
    host: here,
    origin: 'http://evil.example',
    expected: 'session',
  },
  {
    name: 'any origin, not any host',
    server: { allowedOrigins: ['*'] },
    host: 'evil.example',
    expected: 'host',
  },
];
