/** Keys whose place in the table is kept at hand, by their text: bounded, those asked for all the time stay. Long texts are hashed each time. */
import type { KeyedLimit, Subject } from '../policy/limit/keyed-limit.ts';

const KNOWN_MAX = 4_096;
const LENGTH_MAX = 256;

export class KnownSubjects {
  readonly limit: KeyedLimit;
  #recent = new Map<string, Subject>();
  #former = new Map<string, Subject>();

  constructor(limit: KeyedLimit) {
    this.limit = limit;
  }

  of(key: string): Subject {
    return this.#recent.get(key) ?? this.#learn(key);
  }

  #learn(key: string): Subject {
    if (key.length > LENGTH_MAX) return this.limit.subject(key);
    const subject = this.#former.get(key) ?? this.limit.subject(key);
    if (this.#recent.size >= KNOWN_MAX) {
      this.#former = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(key, subject);
    return subject;
  }
}
