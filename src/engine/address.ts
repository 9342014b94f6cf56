import type { Listening } from '../main/backend/backend.ts';

/** Where somebody listens, as a URL too. */
export function addressOf({ host, port, secure = false }: Listening): {
  url: string;
  host: string;
  port: number;
} {
  const name = host.includes(':') ? `[${host}]` : host;
  return { url: `${secure ? 'wss' : 'ws'}://${name}:${port}`, host, port };
}
