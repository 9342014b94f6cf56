/**
 * Tokens a minute: a bucket of one minute's tokens, refilled all the time. Unlike a bucket of requests it can be in debt: what an answer has used beyond what was there is
 * charged all the same, and nothing is given until it is worked off.
 */
import { Gcra } from './gcra.ts';

export class MinuteBudget extends Gcra {
  constructor(perMinute: number) {
    super(perMinute / 60, perMinute, true);
  }
}
