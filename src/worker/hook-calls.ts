/** Calls of the user's hooks: bounded in number and time, and whatever they do instead of answering is one typed failure. */
import { asMillraceError, MillraceError } from '../errors.ts';
import {
  type AuthAnswer,
  type AuthRequest,
  type Finished,
  type HookName,
  type Hooks,
  type RequestAsked,
  readAuthVerdict,
  readRequestVerdict,
} from '../protocol/hooks.ts';
import type { ModelRequest } from '../protocol/request.ts';
import type { Means } from './means.ts';

type World = Pick<Means, 'options' | 'alarms' | 'clock' | 'tally' | 'soon'> & {
  fault(where: string, error: MillraceError): void;
};

/** Now or later. */
type Answer<T> = T | Promise<T>;

export class HookCalls {
  readonly #hooks: Hooks;
  readonly #world: World;
  readonly #running: Record<HookName, number> = { onAuth: 0, onRequest: 0, onFinish: 0 };

  constructor(hooks: Hooks, world: World) {
    this.#hooks = hooks;
    this.#world = world;
  }

  has(name: HookName): boolean {
    return this.#hooks[name] !== undefined;
  }

  auth(asked: AuthRequest, settle: (answer: AuthAnswer | MillraceError) => void): void {
    this.#call('onAuth', async () => readAuthVerdict(await this.#hooks.onAuth?.(asked)), settle);
  }

  /** Answers at once when the hook does. */
  request(asked: RequestAsked, settle: (answer: ModelRequest | MillraceError) => void): void {
    const read = (verdict: unknown) => readRequestVerdict(verdict, asked.request);
    const ask = (): Answer<ModelRequest | MillraceError> => {
      const verdict = this.#hooks.onRequest?.(asked);
      return isPromise<unknown>(verdict) ? verdict.then(read) : read(verdict);
    };
    this.#call<ModelRequest | MillraceError>('onRequest', ask, settle);
  }

  /** In its own turn of the loop: the frames of the stream leave before. */
  finish(finished: () => Finished): void {
    const tell = async () => this.#hooks.onFinish?.(finished());
    this.#world.soon(() =>
      this.#call('onFinish', tell, (answer) => {
        if (answer instanceof MillraceError) this.#world.tally.error(answer.code);
      }),
    );
  }

  #call<T>(
    name: HookName,
    ask: () => Answer<T>,
    settle: (answer: T | MillraceError) => void,
  ): void {
    const { pendingMax } = this.#world.options.hooks;
    if (this.#running[name] >= pendingMax) {
      return settle(
        new MillraceError('MILLRACE_OVERLOADED', { bound: 'hooks.pendingMax', waitMs: 1_000 }),
      );
    }
    let answer: Answer<T>;
    try {
      answer = ask();
    } catch (thrown) {
      return settle(this.#failed(name, thrown));
    }
    if (isPromise(answer)) this.#wait(name, answer, settle);
    else settle(answer);
  }

  #wait<T>(name: HookName, answer: Promise<T>, settle: (answer: T | MillraceError) => void): void {
    const { alarms, clock, options } = this.#world;
    const { timeoutMs } = options.hooks;
    let open = true;
    const end = (make: () => T | MillraceError) => {
      if (!open) return;
      open = false;
      this.#running[name]--;
      deadline.free();
      settle(make());
    };
    const late = new Error(`it did not answer within ${timeoutMs} ms`);
    const deadline = alarms.create(() => end(() => this.#failed(name, late)));
    deadline.set(clock.now() + timeoutMs);
    this.#running[name]++;
    answer
      .then(
        (value) => end(() => value),
        (thrown) => end(() => this.#failed(name, thrown)),
      )
      // What the one who waits does wrong is not the hook's fault, and nobody else would say it.
      .catch((thrown) => this.#world.fault(`after ${name}`, asMillraceError(thrown)));
  }

  /** The operator hears why, the client that it is so. */
  #failed(name: HookName, thrown: unknown): MillraceError {
    this.#world.tally.hookFailed();
    this.#world.fault(name, asMillraceError(thrown));
    return new MillraceError('MILLRACE_HOOK_FAILED', { hook: name });
  }
}

function isPromise<T>(value: Answer<T>): value is Promise<T> {
  return typeof value === 'object' && value !== null && 'then' in value;
}
