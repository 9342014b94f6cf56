/**
 * Keys whose place in the table is kept at hand, by their text: bounded, those asked for all the time stay. Long texts are hashed each time.
 *
 * In front of the map stands an array by the text's last letters, where keys differ most: the map alone costs more than the whole check behind it. Keys that fall on the same
 * place there take turns in it, and are found in the map.
 */
import type { KeyedLimit, Subject } from '../policy/limit/keyed-limit.ts';

const KNOWN_MAX = 4_096;
const LENGTH_MAX = 256;
const LENGTH_MIN = 4;
const FRONT = 4_096;

export class KnownSubjects {
  readonly limit: KeyedLimit;
  #recent = new Map<string, Subject>();
  #former = new Map<string, Subject>();
  /** Keys and subjects of the front; '' where there is none. */
  readonly #keys: string[] = new Array(FRONT).fill('');
  readonly #subjects: Subject[];

  constructor(limit: KeyedLimit) {
    this.limit = limit;
    this.#subjects = new Array(FRONT).fill(limit.subject(''));
  }

  of(key: string): Subject {
    const { length } = key;
    if (length < LENGTH_MIN || length > LENGTH_MAX)
      return this.#recent.get(key) ?? this.#learn(key);
    const last = key.charCodeAt(length - 1) + 31 * key.charCodeAt(length - 2);
    const place =
      (last + 961 * key.charCodeAt(length - 3) + 29_791 * key.charCodeAt(length - 4)) & (FRONT - 1);
    if (this.#keys[place] === key) return this.#subjects[place];
    const subject = this.#recent.get(key) ?? this.#learn(key);
    this.#keys[place] = key;
    this.#subjects[place] = subject;
    return subject;
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
