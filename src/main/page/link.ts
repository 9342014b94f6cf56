/** A socket that comes back. Free of the document, so that a test can hand in another socket. */
import type { ServerEvent } from './turn.ts';

/** What is needed of a WebSocket. */
interface SocketLike {
  readonly readyState: number;
  onopen: unknown;
  onmessage: unknown;
  onclose: unknown;
  send(text: string): void;
  close(code: number): void;
}

export interface Heard {
  state(state: 'connecting' | 'open' | 'waiting' | 'closed', text: string): void;
  event(event: ServerEvent): void;
  /** An open socket closed. */
  lost(code: number, reason: string): void;
}

export interface Link {
  /** False: it is not open. */
  send(event: object): boolean;
  close(): void;
}

/** Close codes after which trying again is pointless. */
const permanent = new Set([1000, 1002, 1003, 1007, 1008, 1009, 1010]);
const RESTART = 1012;
const RETRY_MS = 500;
const RETRY_MS_MAX = 15_000;
const OPEN = 1;

/** Waits before attempt n (from 0): full jitter over a doubling bound, so that a restarted server is not stormed. */
export function retryDelayMs(attempt: number, random: () => number): number {
  return random() * Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** Math.min(attempt, 10));
}

export function createLink(connectTo: () => SocketLike, heard: Heard): Link {
  let socket: SocketLike;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let attempt = 0;
  let left = false;

  function closed(opened: boolean, code: number, reason: string): void {
    if (opened) heard.lost(code, reason);
    const said = `${code}${reason ? ` ${reason}` : ''}`;
    if (permanent.has(code)) return heard.state('closed', `closed by the server (${said})`);
    const waitMs = retryDelayMs(opened ? 1 : attempt, Math.random);
    attempt += 1;
    const why = code === RESTART ? 'server restarting' : 'not connected';
    heard.state('waiting', `${why}, again in ${(waitMs / 1000).toFixed(1)} s`);
    timer = setTimeout(connect, waitMs);
  }

  function connect(): void {
    heard.state('connecting', attempt > 0 ? 'reconnecting …' : 'connecting …');
    let opened = false;
    const mine = connectTo();
    socket = mine;
    mine.onopen = () => {
      opened = true;
      attempt = 0;
      heard.state('open', 'connected');
    };
    mine.onmessage = ({ data }: { data: unknown }) => {
      const event = parsed(data);
      if (event) heard.event(event);
    };
    mine.onclose = ({ code, reason }: { code: number; reason: string }) => {
      if (!left && mine === socket) closed(opened, code, reason);
    };
  }

  connect();
  return {
    send(event) {
      if (socket.readyState !== OPEN) return false;
      socket.send(JSON.stringify(event));
      return true;
    },
    close() {
      left = true;
      clearTimeout(timer);
      socket.close(1000);
    },
  };
}

function parsed(data: unknown): ServerEvent | undefined {
  try {
    return JSON.parse(String(data)) as ServerEvent;
  } catch {
    return undefined;
  }
}
