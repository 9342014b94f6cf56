/**
 * What operators get wrong, each with the sentence they read. `file` is written to a file of that name in a folder of its own; in
 * the sentences its path is FILE, and the folder FOLDER.
 */
import { providerNames, strategyNames } from '../../../src/options/names.ts';

export interface Mistake {
  readonly what: string;
  readonly file?: readonly [name: string, text: string | Uint8Array];
  /** Of the configuration, from the folder; absent: that of `file`. */
  readonly path?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly code?: unknown;
  /** All lines, in order. */
  readonly says: readonly string[];
}

const yaml = (text: string) => ['m.yaml', text] as const;
const toml = (text: string) => ['m.toml', text] as const;
const json = (text: string) => ['m.json', text] as const;
const bytes = (...values: number[]) => Uint8Array.from(values);
const repeated = (text: string, times: number) => text.repeat(times);

export const mistakes: readonly Mistake[] = [
  {
    what: 'a text for a number, quoted',
    file: yaml('server:\n  port: "80"\n'),
    says: [
      'server.port must be an integer from 0 to 65535, got "80"; write it without quotes (file FILE:2:9)',
    ],
  },
  {
    what: 'a word for a number',
    file: yaml('server:\n  port: http\n'),
    says: ['server.port must be an integer from 0 to 65535, got "http" (file FILE:2:9)'],
  },
  {
    what: 'a number out of range',
    file: yaml('server:\n  port: 65536\n'),
    says: ['server.port must be an integer from 0 to 65535, got 65536 (file FILE:2:9)'],
  },
  {
    what: 'a negative number',
    file: toml('[server]\nport = -1\n'),
    says: ['server.port must be an integer from 0 to 65535, got -1 (file FILE:2:8)'],
  },
  {
    what: 'a float for an integer',
    file: json('{"server": {"port": 80.5}}'),
    says: ['server.port must be an integer from 0 to 65535, got 80.5 (file FILE:1:21)'],
  },
  {
    what: 'not a number (YAML)',
    file: yaml('stream:\n  retriesRunningShare: .nan\n'),
    says: ['stream.retriesRunningShare must be a number from 0 to 1, got NaN (file FILE:2:24)'],
  },
  {
    what: 'infinity (TOML)',
    file: toml('[stream]\nmaxRetries = inf\n'),
    says: ['stream.maxRetries must be an integer from 0 to 100, got Infinity (file FILE:2:14)'],
  },
  {
    what: 'an integer beyond exactness (TOML)',
    file: toml('[server]\nport = 99999999999999999999\n'),
    says: [
      'cannot read the configuration FILE:2:8: a whole number beyond what can be kept exactly',
    ],
  },
  {
    what: 'a huge number (JSON)',
    file: json('{"memory": {"ringBytes": 1e999}}'),
    says: [
      'memory.ringBytes must be an integer from 65536 to 67108864, got Infinity (file FILE:1:26)',
    ],
  },
  {
    what: 'digits in groups',
    file: yaml("server:\n  sessionsMax: 10'000\n"),
    says: [
      'server.sessionsMax must be an integer from 1 to 262144, got "10\'000"; write the digits alone (file FILE:2:16)',
    ],
  },
  {
    what: 'a time with a unit',
    file: yaml('server:\n  idleTimeoutMs: 90s\n'),
    says: [
      'server.idleTimeoutMs must be an integer from 200 to 2147483647, got "90s"; it is a number of milliseconds: 90000 (file FILE:2:18)',
    ],
  },
  {
    what: 'seconds for milliseconds',
    file: yaml('server:\n  idleTimeoutMs: 60\n'),
    says: [
      'server.idleTimeoutMs must be an integer from 200 to 2147483647, got 60; it is a number of milliseconds; did you mean 60000? (file FILE:2:18)',
    ],
  },
  {
    what: 'a size with a unit',
    file: toml('[memory]\nringBytes = "2 MiB"\n'),
    says: [
      'memory.ringBytes must be an integer from 65536 to 67108864, got "2 MiB"; it is a number of bytes: 2097152 (file FILE:2:13)',
    ],
  },
  {
    what: 'a size that is no power of two',
    file: yaml('memory:\n  ringBytes: 100000\n'),
    says: ['memory.ringBytes must be a power of two, got 100000 (file FILE:2:14)'],
  },
  {
    what: 'yes for true (YAML 1.2)',
    file: yaml('server:\n  page: yes\n'),
    says: [
      'server.page must be true or false, got "yes"; write true, without quotes (file FILE:2:9)',
    ],
  },
  {
    what: 'a quoted boolean',
    file: json('{"server": {"page": "false"}}'),
    says: [
      'server.page must be true or false, got "false"; write false, without quotes (file FILE:1:21)',
    ],
  },
  {
    what: 'a number for a boolean',
    file: toml('[server]\npage = 1\n'),
    says: ['server.page must be true or false, got 1; write true (file FILE:2:8)'],
  },
  {
    what: 'a choice with a slip',
    file: yaml('log:\n  level: wran\n'),
    says: [
      'log.level must be one of silent, error, warn, info, debug, got "wran"; did you mean warn? (file FILE:2:10)',
    ],
  },
  {
    what: 'a choice in another case',
    file: yaml('balance:\n  loadBalanceStrategy: roundrobin\n'),
    says: [
      `balance.loadBalanceStrategy must be one of ${strategyNames.join(', ')}, got "roundrobin"; did you mean RoundRobin? (file FILE:2:24)`,
    ],
  },
  {
    what: 'a choice that is not there',
    file: yaml('server:\n  backend: nginx\n'),
    says: ['server.backend must be one of auto, uws, ws, got "nginx" (file FILE:2:12)'],
  },
  {
    what: 'a text for a list',
    file: yaml('server:\n  allowedHosts: a.example\n'),
    says: [
      'server.allowedHosts must be a list of texts, got "a.example"; a list of one is written ["a.example"] (file FILE:2:17)',
    ],
  },
  {
    what: 'a number in a list of texts',
    file: yaml('server:\n  allowedHosts: [a, 5]\n'),
    says: ['server.allowedHosts[1] must be a text, got 5 (file FILE:2:21)'],
  },
  {
    what: 'a group for a list',
    file: yaml('upstreams:\n  name: a\n  url: http://a\n'),
    says: [
      'upstreams must be a list of at most 64 entries, got a group of options; each entry begins with "- " in YAML, with [[name]] in TOML (file FILE:2:3)',
    ],
  },
  {
    what: 'a list for a group',
    file: yaml('server:\n  - port: 80\n'),
    says: ['server must be a group of options, got a list (file FILE:2:3)'],
  },
  {
    what: 'a value for a group',
    file: yaml('server: 8080\n'),
    says: ['server must be a group of options, got 8080 (file FILE:1:9)'],
  },
  {
    what: 'nothing for a number',
    file: yaml('server:\n  port:\n'),
    says: ['server.port must be an integer from 0 to 65535, got nothing (file FILE:2:8)'],
  },
  {
    what: 'null (JSON)',
    file: json('{"server": {"host": null}}'),
    says: ['server.host must be a text that is not empty, got nothing (file FILE:1:21)'],
  },
  {
    what: 'a number for a text',
    file: yaml('server:\n  host: 8\n'),
    says: [
      'server.host must be a text that is not empty, got 8; write it in quotes: "8" (file FILE:2:9)',
    ],
  },
  {
    what: 'pieces of text for a protocol that nobody knows',
    file: yaml('chunks:\n  caht:\n    chunkSize: 5\n'),
    says: [
      'chunks.caht must be one of chat, responses, responses-http, completions; did you mean chat? (file FILE:3:5)',
    ],
  },
  {
    what: 'a date (TOML)',
    file: toml('[server]\nhost = 2026-01-01\n'),
    says: [
      'server.host must be a text that is not empty, got a date; write it in quotes (file FILE:2:8)',
    ],
  },
  {
    what: 'an empty text',
    file: yaml('server:\n  host: ""\n'),
    says: ['server.host must be a text that is not empty, got "" (file FILE:2:9)'],
  },
  {
    what: 'a path without its slash',
    file: yaml('paths:\n  chat: chat\n'),
    says: [
      'paths.chat must be a text that begins with /, got "chat"; did you mean "/chat"? (file FILE:2:9)',
    ],
  },
  {
    what: 'a key with a slip',
    file: yaml('server:\n  prot: 80\n'),
    says: ['server.prot is not an option; did you mean server.port? (file FILE:2:3)'],
  },
  {
    what: 'a key in another style',
    file: yaml('server:\n  sessions-max: 80\n'),
    says: [
      'server.sessions-max is not an option; did you mean server.sessionsMax? (file FILE:2:3)',
    ],
  },
  {
    what: 'a key of a group at the top',
    file: yaml('port: 80\n'),
    says: ['port is not an option; did you mean server.port? (file FILE:1:1)'],
  },
  {
    what: 'a key that nobody knows',
    file: yaml('server:\n  zebra: 80\n'),
    says: ['server.zebra is not an option (file FILE:2:3)'],
  },
  {
    what: 'a group with a slip',
    file: toml('[sever]\nport = 80\n'),
    says: ['sever is not an option; did you mean server? (file FILE:1:2)'],
  },
  {
    what: 'a slip in an entry of a list',
    file: toml(
      '[[upstreams]]\nname = "a"\nurl = "http://a"\n[[upstreams]]\nname = "b"\nurl = "http://b"\nmodel = ["x"]\n',
    ),
    says: [
      'upstreams[1].model is not an option; did you mean upstreams[1].models? (file FILE:7:1)',
    ],
  },
  {
    what: 'two groups deep',
    file: json('{"server": {"server": {"port": 1}}}'),
    says: ['server.server is not an option (file FILE:1:13)'],
  },
  {
    what: '__proto__',
    file: json('{"__proto__": {"polluted": true}}'),
    says: ['__proto__ is not an option (file FILE:1:2)'],
  },
  {
    what: 'constructor in YAML',
    file: yaml('constructor:\n  prototype: 1\n'),
    says: ['constructor is not an option (file FILE:1:1)'],
  },
  {
    what: '$schema that is no text',
    file: json('{"$schema": 5}'),
    says: ['$schema must be a text, got 5 (file FILE:1:13)'],
  },
  {
    what: 'a key twice (YAML)',
    file: yaml('server:\n  port: 1\n  host: a\n  port: 2\n'),
    says: ['server.port stands twice, first in line 2 (file FILE:4:3)'],
  },
  {
    what: 'a group twice (YAML)',
    file: yaml('server:\n  port: 1\nlog:\n  level: info\nserver:\n  host: a\n'),
    says: ['server stands twice, first in line 1 (file FILE:5:1)'],
  },
  {
    what: 'a key twice (JSON)',
    file: json('{"server": {"port": 1, "port": 2}}'),
    says: ['server.port stands twice, first in line 1 (file FILE:1:24)'],
  },
  {
    what: 'a key twice (TOML)',
    file: toml('[server]\nport = 1\nport = 2\n'),
    says: [
      'cannot read the configuration FILE:3:1: this key or table is there already; more entries of a list are written with [[name]]',
    ],
  },
  {
    what: 'a table twice (TOML)',
    file: toml('[server]\nport = 1\n[log]\n[server]\nhost = "a"\n'),
    says: [
      'cannot read the configuration FILE:4:2: this key or table is there already; more entries of a list are written with [[name]]',
    ],
  },
  {
    what: 'an upstream without a URL',
    file: yaml('upstreams:\n  - name: a\n'),
    says: [
      'upstreams[0].url must be a URL that begins with http:// or https:// (ws:// or wss:// for a WebSocket back end), got nothing (file FILE:2:5)',
    ],
  },
  {
    what: 'an upstream name twice',
    file: yaml('upstreams:\n  - {name: a, url: "http://a"}\n  - {name: a, url: "http://b"}\n'),
    says: ['upstreams[1].name must differ from upstreams[0].name, got "a" (file FILE:3:12)'],
  },
  {
    what: 'an upstream name with a space',
    file: yaml('upstreams:\n  - {name: my gpu, url: "http://a"}\n'),
    says: [
      'upstreams[0].name must be 1 to 64 characters of A-Z a-z 0-9 _ . -, got "my gpu" (file FILE:2:12)',
    ],
  },
  {
    what: 'a path twice',
    file: yaml('paths:\n  chat: /x\n  echo: /x\n'),
    says: ['paths.echo must differ from paths.chat, got "/x" (file FILE:3:9)'],
  },
  {
    what: 'one port for both',
    file: yaml('server:\n  port: 9090\n'),
    says: ['admin.port must differ from server.port, got 9090'],
  },
  {
    what: 'a timeout before its warning',
    file: yaml('server:\n  idleTimeoutMs: 20000\n'),
    says: [
      'server.idleTimeoutMs must be more than server.pingIntervalMs (30000), got 20000 (file FILE:2:18)',
    ],
  },
  {
    what: 'a heartbeat slower than its judge',
    file: yaml('threads:\n  heartbeatMs: 9000\n'),
    says: [
      'threads.hungAfterMs must be more than threads.heartbeatMs (9000), got 5000 (file FILE:2:3)',
    ],
  },
  {
    what: 'a URL without its scheme',
    file: yaml('upstreams:\n  - {name: a, url: api.example.com/v1}\n'),
    says: [
      'upstreams[0].url must be a URL that begins with http:// or https:// (ws:// or wss:// for a WebSocket back end), got "api.example.com/v1"; did you mean https://api.example.com/v1? (file FILE:2:20)',
    ],
  },
  {
    what: 'a URL of another scheme',
    file: yaml('upstreams:\n  - {name: a, url: "ftp://api.example.com"}\n'),
    says: [
      'upstreams[0].url must be a URL that begins with http:// or https:// (ws:// or wss:// for a WebSocket back end), got "ftp://api.example.com" (file FILE:2:20)',
    ],
  },
  {
    what: 'a local URL without its scheme',
    file: yaml('upstreams:\n  - {name: a, url: "localhost:11434/v1"}\n'),
    says: [
      'upstreams[0].url must be a URL that begins with http:// or https:// (ws:// or wss:// for a WebSocket back end), got "localhost:11434/v1"; did you mean http://localhost:11434/v1? (file FILE:2:20)',
    ],
  },
  {
    what: 'a password in a URL',
    file: yaml('upstreams:\n  - {name: a, url: "http://me:sk-secret@a/v1"}\n'),
    says: ['upstreams[0].url must not hold a user or password; use apiKey (file FILE:2:20)'],
  },
  {
    what: 'a password in a bad URL',
    file: yaml('upstreams:\n  - {name: a, url: "ws://me:sk-secret@a/v1"}\n'),
    says: [
      'upstreams[0].url must begin with http:// or https:// (ws:// and wss:// are for the providers websocket and openai-responses), got "ws://…@a/v1" (file FILE:2:20)',
    ],
  },
  {
    what: 'a WebSocket back end at an HTTP address',
    file: yaml('upstreams:\n  - {name: a, url: "http://a", provider: websocket, models: [m]}\n'),
    says: [
      'upstreams[0].url must begin with ws:// or wss:// for the provider websocket, got "http://a" (file FILE:2:20)',
      'upstreams[0].models must be empty for the provider websocket, got a list (file FILE:2:61)',
    ],
  },
  {
    what: 'an LLM upstream that is to be reused',
    file: yaml('upstreams:\n  - {name: a, url: "http://a", reuse: true}\n'),
    says: ['upstreams[0].reuse is for the provider websocket only, got true (file FILE:2:39)'],
  },
  {
    what: 'an exact bucket, and an exact window of more than was set aside',
    file: yaml(
      'limits:\n  perKey: {exact: true}\n  global: {algorithm: SlidingWindow, maxRequestsPerSecond: 50, exact: true}\n',
    ),
    says: [
      'limits.global.exact needs windows of at most limits.exactRequestsMax (32) requests, got 50 (file FILE:3:71)',
      'limits.perKey.exact is for SlidingWindow only, got "TokenBucket" (file FILE:2:19)',
    ],
  },
  {
    what: 'pacing by a bucket that refills, for hours, and where nobody can wait',
    file: yaml(
      'limits:\n  perKey: {paced: true}\n  perModel: {algorithm: LeakyBucket, paced: true}\n  global: {algorithm: LeakyBucket, paced: true, maxRequestsPerSecond: 0.1, maxBurst: 500}\n',
    ),
    says: [
      'limits.global.maxBurst must not let the last of those that wait do so for 4990 s; at most 600 s, got 500 (file FILE:4:86)',
      'limits.perKey.paced is for LeakyBucket only, got "TokenBucket" (file FILE:2:19)',
      'limits.perModel.maxBurst must be at least 2 where requests are paced, got 0 (file FILE:3:13)',
    ],
  },
  {
    what: 'a tier nobody has said, one said twice, and a limit in it that cannot be kept',
    file: yaml(
      'keys:\n  - {name: a, key: some-key, tier: glod}\nlimits:\n  tiers:\n    - {name: gold}\n    - {name: gold, perKey: {exact: true}}\n',
    ),
    says: [
      'limits.tiers[1].name must differ from limits.tiers[0].name, got "gold" (file FILE:6:14)',
      'limits.tiers[1].perKey.exact is for SlidingWindow only, got "TokenBucket" (file FILE:6:36)',
      'keys[0].tier must be one of limits.tiers, got "glod"; did you mean gold? (file FILE:2:36)',
    ],
  },
  {
    what: 'pacing of messages, which main admits',
    file: yaml('limits:\n  perSession: {algorithm: LeakyBucket, paced: true}\n'),
    says: [
      'limits.perSession.paced is not an option; did you mean limits.global.paced? (file FILE:2:40)',
    ],
  },
  {
    what: 'an id to continue by over HTTP',
    file: yaml(
      'upstreams:\n  - {name: a, url: "http://a", provider: openai-responses, continuesById: true}\n',
    ),
    says: [
      'upstreams[0].continuesById needs the provider openai-responses and a URL with ws:// or wss://, got true (file FILE:2:75)',
    ],
  },
  {
    what: 'health checks that the upstream cannot answer',
    file: yaml(
      'upstreams:\n  - {name: a, url: "http://a", healthCheck: ping}\n  - {name: b, url: "ws://b", provider: websocket, healthCheck: tls}\n  - {name: c, url: "https://c", healthCheck: http}\n',
    ),
    says: [
      'upstreams[0].healthCheck ping is for the provider websocket only, got "ping" (file FILE:2:45)',
      'upstreams[1].healthCheck tls needs a URL with https:// or wss://, got "tls" (file FILE:3:64)',
      'upstreams[2].healthCheck http needs healthPath, got "http" (file FILE:4:46)',
    ],
  },
  {
    what: 'messages of back ends that never fit into the slab',
    file: yaml(
      'upstreams:\n  - {name: a, url: "ws://a", provider: websocket}\nmemory: {slabBytes: 1048576}\nproxy: {messageBytesMax: 1048576}\n',
    ),
    says: [
      'proxy.messageBytesMax must be less than memory.slabBytes (1048576), got 1048576 (file FILE:4:26)',
    ],
  },
  {
    what: 'a provider with a slip',
    file: yaml('upstreams:\n  - {name: a, url: "http://a", provider: openai-chta}\n'),
    says: [
      `upstreams[0].provider must be one of ${providerNames.join(', ')}, websocket, got "openai-chta"; did you mean openai-chat? (file FILE:2:42)`,
    ],
  },
  {
    what: 'a secret of an unset variable',
    file: yaml('admin:\n  token: ${MILLRACE_TEST_UNSET}\n'),
    says: [
      'admin.token names the environment variable MILLRACE_TEST_UNSET, which is not set (file FILE:2:10)',
    ],
  },
  {
    what: 'a secret of an empty variable',
    file: yaml('keys: ["${EMPTY}"]\n'),
    env: { EMPTY: '' },
    says: ['keys[0] names the environment variable EMPTY, which is empty (file FILE:1:8)'],
  },
  {
    what: 'a secret of a file that is not there',
    file: yaml('upstreams:\n  - name: a\n    url: http://a\n    apiKey: ${file:keys/a}\n'),
    says: [
      'upstreams[0].apiKey names the file FOLDER/keys/a: there is no such file (file FILE:4:13)',
    ],
  },
  {
    what: 'a secret with more than its variable',
    file: yaml('upstreams:\n  - name: a\n    url: http://a\n    apiKey: Bearer ${KEY}\n'),
    says: [
      'upstreams[0].apiKey holds ${…} within a longer text; the whole text must be ${NAME} or ${file:PATH} (file FILE:4:13)',
    ],
  },
  {
    what: 'a secret as the shell writes it',
    file: yaml('admin:\n  token: $ADMIN_TOKEN\n'),
    says: [
      'admin.token looks like a variable of the shell; write ${NAME} with the braces (file FILE:2:10)',
    ],
  },
  {
    what: 'a secret that is too short',
    file: yaml('admin:\n  token: sk-1\n'),
    says: [
      'admin.token must be a text of at least 8 characters, got a text (hidden) (file FILE:2:10)',
    ],
  },
  {
    what: 'a secret that is a number',
    file: yaml('keys: [12345]\n'),
    says: [
      'keys[0] must be a text that is not empty, or a group of options, got a number (hidden) (file FILE:1:8)',
    ],
  },
  {
    what: 'keys as one text',
    file: yaml('keys: sk-secret\n'),
    says: ['keys must be a list of texts or groups, got a text (hidden) (file FILE:1:7)'],
  },
  {
    what: 'the same key twice',
    file: yaml('keys: [sk-secret, sk-secret]\n'),
    says: ['keys[1] must differ from keys[0], got a text (hidden) (file FILE:1:19)'],
  },
  {
    what: 'a tab for indentation',
    file: yaml('server:\n\tport: 80\n'),
    says: [
      'cannot read the configuration FILE:2:1: a tab indents this line; YAML indents with spaces',
    ],
  },
  {
    what: 'an unclosed double quote',
    file: yaml('server:\n  host: "0.0.0.0\n  port: 80\n'),
    says: ['cannot read the configuration FILE:2:9: a quote is opened here and never closed'],
  },
  {
    what: 'an unclosed single quote',
    file: yaml("server:\n  host: '0.0.0.0\n"),
    says: ['cannot read the configuration FILE:2:9: a quote is opened here and never closed'],
  },
  {
    what: 'an unclosed list',
    file: yaml('server:\n  allowedHosts: [a, b\n  port: 80\n'),
    says: [
      'cannot read the configuration FILE:2:17: this bracket is never closed with ], or its lines are not indented',
    ],
  },
  {
    what: 'an unclosed group',
    file: yaml('server: {port: 80\n'),
    says: [
      'cannot read the configuration FILE:1:9: this bracket is never closed with }, or its lines are not indented',
    ],
  },
  {
    what: 'two colons in a line',
    file: yaml('server: port: 80\n'),
    says: [
      'cannot read the configuration FILE:1:9: there is a second colon or a list on this line; begin the value on a line of its own, or quote it',
    ],
  },
  {
    what: 'a line without its colon',
    file: yaml('server:\n  port 80\n  host: a\n'),
    says: [
      'cannot read the configuration FILE:2:3: a colon is missing on this line, or the line is indented wrongly',
    ],
  },
  {
    what: 'no space behind the colon',
    file: yaml('server:\n  port:80\n'),
    says: [
      'server must be a group of options, got a text (hidden); a space is missing after the colon (file FILE:2:3)',
    ],
  },
  {
    what: 'indentation that does not fit',
    file: yaml('server:\n    port: 80\n  host: a\n'),
    says: [
      'cannot read the configuration FILE:3:1: this line is indented less or more than its neighbours',
    ],
  },
  {
    what: 'a value that begins with @',
    file: yaml('server:\n  host: @home\n'),
    says: ['cannot read the configuration FILE:2:9: a value cannot begin with @, ` or %; quote it'],
  },
  {
    what: 'a value that begins with *',
    file: yaml('server:\n  allowedHosts: [*]\n'),
    says: [
      'cannot read the configuration FILE:2:18: a value beginning with * is an alias, and this one has no name; write "*" for a text',
    ],
  },
  {
    what: 'an alias of nothing',
    file: yaml('server:\n  host: *main\n'),
    says: [
      'cannot read the configuration FILE:2:9: a value beginning with * is an alias, and no &anchor has its name; quote it if it is a text',
    ],
  },
  {
    what: 'a value that begins with !',
    file: yaml('server:\n  host: !main\n'),
    says: [
      'cannot read the configuration FILE:2:9: a value beginning with ! is a tag, and this one is not known; quote it if it is a text',
    ],
  },
  {
    what: 'a merge key',
    file: yaml('session: &s\n  lanesMax: 3\nstream:\n  <<: *s\n'),
    says: [
      'cannot read the configuration FILE:4:3: merging with << is not read here; write the options out, or use an alias for the whole value',
    ],
  },
  {
    what: 'a template that was not filled in',
    file: yaml('server:\n  port: {{ port }}\n'),
    says: [
      'cannot read the configuration FILE:2:10: a key is a word, not a list or group; quote a text that begins with { or [, and fill in {{ }} of a template',
    ],
  },
  {
    what: 'two documents in one file',
    file: yaml('server:\n  port: 80\n---\nserver:\n  port: 81\n'),
    says: [
      'cannot read the configuration FILE:3:1: a second document begins here (--- or ...); a file holds one',
    ],
  },
  {
    what: 'an alias bomb',
    file: yaml(
      `a: &a [${repeated('1,', 9)}1]\nb: &b [${repeated('*a,', 9)}*a]\nc: &c [${repeated('*b,', 9)}*b]\nd: [${repeated('*c,', 9)}*c]\n`,
    ),
    says: [
      'cannot read the configuration FILE:1:1: its aliases (*name) repeat more than 100 values',
    ],
  },
  {
    what: 'an alias in a circle',
    file: yaml('server: &s\n  host: *s\n'),
    says: [
      'cannot read the configuration FILE:1:1: lists and groups lie in one another more than 32 deep, or in a circle',
    ],
  },
  {
    what: 'a very deep file',
    file: yaml(`server: ${repeated('[', 5_000)}\n`),
    says: [
      'cannot read the configuration FILE:1:1: lists and groups lie in one another more than 32 deep, or in a circle',
    ],
  },
  {
    what: 'deep JSON',
    file: json(repeated('[', 100_000)),
    says: [
      'cannot read the configuration FILE:1:33: lists and groups lie in one another more than 32 deep, or in a circle',
    ],
  },
  {
    what: 'deep TOML',
    file: toml(`a = ${repeated('[', 5_000)}`),
    says: [
      'cannot read the configuration FILE:1:37: lists and groups lie in one another more than 32 deep, or in a circle',
    ],
  },
  {
    what: 'JSON with a comment',
    file: json('{\n  // the port\n  "server": {"port": 80}\n}'),
    says: [
      'cannot read the configuration FILE:2:3: JSON has no comments; a file named .yaml may have them',
    ],
  },
  {
    what: 'JSON with a comma too many',
    file: json('{"server": {"port": 80,}}'),
    says: ['cannot read the configuration FILE:1:24: there is a comma before }'],
  },
  {
    what: 'JSON with a comma too few',
    file: json('{"server": {"port": 80 "host": "a"}}'),
    says: ['cannot read the configuration FILE:1:24: a comma or } is missing here'],
  },
  {
    what: 'JSON with single quotes',
    file: json("{'server': {}}"),
    says: ['cannot read the configuration FILE:1:2: JSON quotes with ", not with \''],
  },
  {
    what: 'JSON with bare keys',
    file: json('{server: {}}'),
    says: ['cannot read the configuration FILE:1:2: a key stands in double quotes'],
  },
  {
    what: 'JSON with a bare value',
    file: json('{"server": {"backend": auto}}'),
    says: ['cannot read the configuration FILE:1:24: a text stands in double quotes'],
  },
  {
    what: 'JSON with NaN',
    file: json('{"server": {"port": NaN}}'),
    says: ['cannot read the configuration FILE:1:21: JSON has no NaN'],
  },
  {
    what: 'JSON with hexadecimal',
    file: json('{"server": {"port": 0x50}}'),
    says: [
      'cannot read the configuration FILE:1:21: not a number as JSON writes it (digits; no leading 0, 0x or _)',
    ],
  },
  {
    what: 'JSON without its end',
    file: json('{"server": {"port": 80}'),
    says: ['cannot read the configuration FILE:1:1: this bracket is never closed with }'],
  },
  {
    what: 'JSON with something behind its end',
    file: json('{"server": {}}}'),
    says: ['cannot read the configuration FILE:1:15: something follows the closing bracket'],
  },
  {
    what: 'an unclosed quote in JSON',
    file: json('{"server": {"host": "a}}\n'),
    says: [
      'cannot read the configuration FILE:1:21: a quote is opened here and not closed on its line',
    ],
  },
  {
    what: 'empty JSON',
    file: json(''),
    says: ['cannot read the configuration FILE:1:1: it is empty; write {}'],
  },
  {
    what: 'a list as a whole (JSON)',
    file: json('[1]'),
    says: [
      'cannot read the configuration FILE: it must hold options by name, such as "server:" and, indented below, "port: 8080"',
    ],
  },
  {
    what: 'TOML with a colon',
    file: toml('[server]\nport: 80\n'),
    says: [
      'cannot read the configuration FILE:2:5: a key is letters, digits, - and _, followed by = (the name of a table by ]); anything else stands in quotes',
    ],
  },
  {
    what: 'TOML with a bare text',
    file: toml('[server]\nbackend = auto\n'),
    says: [
      'cannot read the configuration FILE:2:11: a value is missing here, or a text without quotes',
    ],
  },
  {
    what: 'TOML with an unclosed quote',
    file: toml('[server]\nhost = "a\nport = 80\n'),
    says: [
      'cannot read the configuration FILE:2:10: a quote is not closed on this line (longer texts stand in """), or a text holds a control character',
    ],
  },
  {
    what: 'TOML with an unclosed list',
    file: toml('[server]\nallowedHosts = ["a", "b"\nport = 80\n'),
    says: [
      'cannot read the configuration FILE:3:1: a comma or the closing bracket is missing here',
    ],
  },
  {
    what: 'TOML with an unclosed table name',
    file: toml('[server\nport = 80\n'),
    says: [
      'cannot read the configuration FILE:1:8: a key is letters, digits, - and _, followed by = (the name of a table by ]); anything else stands in quotes',
    ],
  },
  {
    what: 'TOML with two values in a line',
    file: toml('[server]\nport = 80 host = "a"\n'),
    says: [
      'cannot read the configuration FILE:2:11: one key and value a line: nothing may follow the value',
    ],
  },
  {
    what: 'TOML with a leading zero',
    file: toml('[server]\nport = 080\n'),
    says: ['cannot read the configuration FILE:2:8: a number does not begin with 0'],
  },
  {
    what: 'TOML with a backslash',
    file: toml('[admin]\nhost = "C:\\dir"\n'),
    says: [
      'cannot read the configuration FILE:2:12: a backslash in double quotes begins an escape that TOML does not know; use single quotes',
    ],
  },
  {
    what: 'a list of tables as a table (TOML)',
    file: toml('[upstreams]\nname = "a"\nurl = "http://a"\n'),
    says: [
      'upstreams must be a list of at most 64 entries, got a group of options; each entry begins with "- " in YAML, with [[name]] in TOML (file FILE:1:2)',
    ],
  },
  {
    what: 'a word as a whole (YAML)',
    file: yaml('hello\n'),
    says: [
      'cannot read the configuration FILE: it must hold options by name, such as "server:" and, indented below, "port: 8080"',
    ],
  },
  {
    what: 'a list as a whole (YAML)',
    file: yaml('- server\n'),
    says: [
      'cannot read the configuration FILE: it must hold options by name, such as "server:" and, indented below, "port: 8080"',
    ],
  },
  {
    what: 'a wrong ending',
    file: ['m.conf', 'server {\n  port 80;\n}\n'],
    says: [
      'cannot read the configuration FILE: it must hold options by name, such as "server:" and, indented below, "port: 8080" (read as YAML: its name ends in none of .yaml, .yml, .toml, .json)',
    ],
  },
  {
    what: 'CRLF line ends: the place is right',
    file: yaml('server:\r\n  port: 80\r\n  prot: 81\r\n'),
    says: ['server.prot is not an option; did you mean server.port? (file FILE:3:3)'],
  },
  {
    what: 'a byte order mark: the place is right',
    file: json('\uFEFF{"prot": 1}'),
    says: ['prot is not an option (file FILE:1:2)'],
  },
  {
    what: 'UTF-16',
    file: ['m.yaml', bytes(0xff, 0xfe, 0x61, 0, 0x3a, 0)],
    says: ['cannot read the configuration FILE: it is UTF-16; save it as UTF-8'],
  },
  {
    what: 'a binary file',
    file: ['m.yaml', bytes(0x7f, 0x45, 0x4c, 0x46, 0, 1)],
    says: ['cannot read the configuration FILE: it is not a text file (it holds a NUL byte)'],
  },
  {
    what: 'Latin-1',
    file: ['m.yaml', bytes(0x61, 0x3a, 0x20, 0xe4, 0x0a)],
    says: ['cannot read the configuration FILE: it is not a UTF-8 text file'],
  },
  {
    what: 'a huge file',
    file: ['m.yaml', repeated('#', 1024 * 1024 + 1)],
    says: ['cannot read the configuration FILE: it has more than 1048576 bytes'],
  },
  {
    what: 'an environment name with a slip',
    env: { MILLRACE_SERVER_PROT: '80' },
    says: [
      'MILLRACE_SERVER_PROT is not an option; did you mean MILLRACE_SERVER_PORT? (environment)',
    ],
  },
  {
    what: 'an environment name of a group',
    env: { MILLRACE_SERVER: '80' },
    says: ['MILLRACE_SERVER is not an option (environment)'],
  },
  {
    what: 'a number with a unit in the environment',
    env: { MILLRACE_SERVER_PORT: '80/tcp' },
    says: [
      'server.port must be an integer from 0 to 65535, got "80/tcp" (environment MILLRACE_SERVER_PORT)',
    ],
  },
  {
    what: 'an empty number in the environment',
    env: { MILLRACE_SERVER_PORT: '' },
    says: [
      'server.port must be an integer from 0 to 65535, got "" (environment MILLRACE_SERVER_PORT)',
    ],
  },
  {
    what: 'hexadecimal in the environment',
    env: { MILLRACE_SERVER_PORT: '0x50' },
    says: [
      'server.port must be an integer from 0 to 65535, got "0x50" (environment MILLRACE_SERVER_PORT)',
    ],
  },
  {
    what: 'a size with a unit in the environment',
    env: { MILLRACE_MEMORY_RING_BYTES: '1mb' },
    says: [
      'memory.ringBytes must be an integer from 65536 to 67108864, got "1mb"; it is a number of bytes: 1048576 (environment MILLRACE_MEMORY_RING_BYTES)',
    ],
  },
  {
    what: 'no boolean in the environment',
    env: { MILLRACE_SERVER_PAGE: 'maybe' },
    says: ['server.page must be true or false, got "maybe" (environment MILLRACE_SERVER_PAGE)'],
  },
  {
    what: 'bad JSON in the environment',
    env: { MILLRACE_UPSTREAMS: '[{"name": "a", "apiKey": "sk-secret"' },
    says: [
      'upstreams must be a list of at most 64 entries, got a text (hidden); it is written as JSON: [{"name": …}] (environment MILLRACE_UPSTREAMS)',
    ],
  },
  {
    what: 'a slip in JSON in the environment',
    env: { MILLRACE_UPSTREAMS: '[{"name": "a", "ulr": "http://a"}]' },
    says: [
      'upstreams[0].url must be a URL that begins with http:// or https:// (ws:// or wss:// for a WebSocket back end), got nothing (environment MILLRACE_UPSTREAMS)',
      'upstreams[0].ulr is not an option; did you mean upstreams[0].url? (environment MILLRACE_UPSTREAMS)',
    ],
  },
  {
    what: 'a flag out of range',
    flags: { 'server.port': '-5' },
    says: ['server.port must be an integer from 0 to 65535, got -5 (flag --port)'],
  },
  {
    what: 'a flag that is no choice',
    flags: { 'log.level': 'verbose' },
    says: [
      'log.level must be one of silent, error, warn, info, debug, got "verbose" (flag --log-level)',
    ],
  },
  {
    what: 'no object in code',
    code: 'server',
    says: ['the options must be an object, got "server"'],
  },
  {
    what: 'a function in code',
    code: { server: { port: () => 80 } },
    says: ['server.port must be an integer from 0 to 65535, got a function (code)'],
  },
  {
    what: 'a bigint in code',
    code: { server: { port: 80n } },
    says: ['server.port must be an integer from 0 to 65535, got a bigint (code)'],
  },
  {
    what: 'a file that is not there',
    path: 'none.yaml',
    says: ['cannot read the configuration FOLDER/none.yaml: there is no such file'],
  },
  {
    what: 'a folder for a file',
    path: '.',
    says: ['cannot read the configuration FOLDER: it is a folder'],
  },
  {
    what: 'a file behind a file',
    file: yaml('server: {}\n'),
    path: 'm.yaml/x.yaml',
    says: ['cannot read the configuration FILE/x.yaml: a part of its path is no folder'],
  },
];
