/** The page's files as replies, read once at start: a closed list of paths, nothing is looked up by what a client asks. */
import { readdirSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { HttpReply } from './backend/backend.ts';

const folder = fileURLToPath(new URL('./page/', import.meta.url));

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
};

/** The page loads its own files alone and talks to its own host alone. */
const policy =
  "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export function pageFiles(): ReadonlyMap<string, HttpReply> {
  const names = readdirSync(folder).filter((name) => extname(name) in types);
  return new Map(
    names.map((name) => [name === 'index.html' ? '/' : `/page/${name}`, replyOf(name)]),
  );
}

function replyOf(name: string): HttpReply {
  const text = readFileSync(folder + name, 'utf8');
  return {
    status: 200,
    headers: {
      'content-type': types[extname(name)],
      'cache-control': 'no-cache',
      'x-content-type-options': 'nosniff',
      'content-security-policy': policy,
      'referrer-policy': 'no-referrer',
    },
    // Where the compiler's maps lie is nothing for the browser.
    body: text.replace(/\n\/\/# sourceMappingURL=\S+\s*$/, '\n'),
  };
}
