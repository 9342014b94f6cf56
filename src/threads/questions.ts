/** Questions for the user's `onAuth` in one worker: answered by number, and all of them at the latest when the worker is gone. */
import { MillraceError, type WireError } from '../errors.ts';
import type { AuthAnswer } from '../protocol/hooks.ts';
import type { AuthFacts } from './messages.ts';

/** Where the user's `onAuth` is asked. */
export interface AuthDesk {
  /** There is one: known once its worker serves. */
  readonly present: boolean;
  /** Asked and not answered yet. */
  readonly open: number;
  /** Never rejects; a failure when the worker is gone. */
  ask(asked: AuthFacts): Promise<AuthAnswer | WireError>;
}

const gone = new MillraceError('MILLRACE_WORKER_LOST', {}).toWire();

export class Questions implements AuthDesk {
  present = false;
  readonly #post: (id: number, asked: AuthFacts) => void;
  readonly #open = new Map<number, (answer: AuthAnswer | WireError) => void>();
  #next = 1;
  #closed = false;

  constructor(post: (id: number, asked: AuthFacts) => void) {
    this.#post = post;
  }

  get open(): number {
    return this.#open.size;
  }

  ask(asked: AuthFacts): Promise<AuthAnswer | WireError> {
    if (this.#closed) return Promise.resolve(gone);
    const id = this.#next++;
    return new Promise((resolve) => {
      this.#open.set(id, resolve);
      this.#post(id, asked);
    });
  }

  answer(id: number, answer: AuthAnswer | WireError): void {
    const resolve = this.#open.get(id);
    this.#open.delete(id);
    resolve?.(answer);
  }

  close(): void {
    this.#closed = true;
    for (const resolve of this.#open.values()) resolve(gone);
    this.#open.clear();
  }
}
