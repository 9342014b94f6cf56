import type { UwsResponse } from './uws-module.ts';

/** A response the core may take away at any time: then it must not be touched again. */
export class Exchange {
  readonly res: UwsResponse;
  /** Answered, or about to be. */
  done = false;
  gone = false;
  /** The connection ends with this answer. */
  last: boolean;
  onGone: () => void = () => {};

  constructor(res: UwsResponse, last: boolean) {
    this.res = res;
    this.last = last;
    res.onAborted(() => {
      this.done = true;
      this.gone = true;
      this.onGone();
    });
  }
}

/** Headers that the core writes itself. */
export const framing = new Set(['connection', 'content-length', 'transfer-encoding', 'date']);
