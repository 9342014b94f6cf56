/** The guide's TokenBucket: `maxBurst` at once, refilled at `maxRequestsPerSecond`. */
import { Gcra } from './gcra.ts';

export class TokenBucket extends Gcra {
  constructor(maxRequestsPerSecond: number, maxBurst: number) {
    super(maxRequestsPerSecond, Math.max(1, maxBurst));
  }
}
