/** What a bench is. */
import type { Goal, Judged } from './verdict.ts';

export interface Settings {
  readonly rounds: number;
  /** Shortens every window: shows that everything runs, proves nothing. */
  readonly quick: boolean;
  /** Server on core 0, clients and upstream on core 1. */
  readonly pin: boolean;
  /** Only these backends of millrace. */
  readonly backends: readonly ('uws' | 'ws')[];
  progress(text: string): void;
}

/** One measured thing, one value per round. */
export interface Reading {
  readonly what: string;
  readonly unit: string;
  readonly values: readonly number[];
}

export interface Outcome {
  readonly readings: readonly Reading[];
  readonly goals: readonly Goal[];
  /** Sentences for the reader: doubts, checks, what was not measured. */
  readonly notes: readonly string[];
}

export interface Bench {
  readonly name: string;
  readonly title: string;
  run(settings: Settings): Promise<Outcome>;
}

export interface Result extends Omit<Outcome, 'goals'> {
  readonly name: string;
  readonly title: string;
  readonly goals: readonly Judged[];
  readonly seconds: number;
}
