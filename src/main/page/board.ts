/** The upstreams as the gateway sees them, and the switch that makes a simulated one fail. Asks /demo/status; without the demo there is no board. */
import { byId, element, say, set } from './element.ts';
import { faultChoices } from './fault-choices.ts';
import type { Failure } from './turn.ts';

/** One upstream of /demo/status. */
export interface Upstream {
  readonly name: string;
  readonly simulated: boolean;
  readonly state: string;
  readonly circuit: string;
  readonly inFlight: number;
  readonly attempts: number;
  readonly failed: number;
  readonly firstTokenMs: number | null;
  readonly restMs: number;
}
interface Status {
  readonly upstreams: readonly Upstream[];
  readonly failures: readonly {
    readonly response: string;
    readonly upstream: string;
    readonly code: string;
    readonly text: string;
    readonly agoMs: number;
  }[];
}

const IDLE_MS = 1_000;
const BUSY_MS = 250;
const ANSWER_MS_MAX = 3_000;

export interface BoardEvents {
  /** Headers that show a request to be ours. */
  credentials(): Record<string, string>;
  /** Ids of the responses whose failed attempts are wanted. */
  watched(): readonly string[];
  busy(): boolean;
  failures(byResponse: ReadonlyMap<string, readonly Failure[]>): void;
  changed(): void;
}

interface Row {
  readonly row: HTMLTableRowElement;
  readonly cells: ReadonlyMap<ColumnName, HTMLElement>;
  readonly fault: HTMLSelectElement;
}

type ColumnName = (typeof columns)[number][0];
const columns = [
  ['state', 'State'],
  ['inFlight', 'In flight'],
  ['attempts', 'Attempts'],
  ['failed', 'Failed'],
  ['firstTokenMs', 'First token, p50'],
  ['circuit', 'Circuit'],
] as const;

export class Board {
  readonly #events: BoardEvents;
  readonly #rows = new Map<string, Row>();
  readonly #section = byId('race', HTMLElement);
  readonly #body = byId('upstreams', HTMLElement);
  #upstreams: readonly Upstream[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asking = false;
  #wanted = false;

  constructor(events: BoardEvents) {
    this.#events = events;
    document.addEventListener('visibilitychange', () => this.soon());
  }

  get upstreams(): readonly Upstream[] {
    return this.#upstreams;
  }

  /** Without a demo there is nothing to ask for. */
  set wanted(wanted: boolean) {
    this.#wanted = wanted;
    this.soon();
  }

  /** What was switched on, by upstream. */
  get faults(): ReadonlyMap<string, string> {
    return new Map([...this.#rows].map(([name, { fault }]) => [name, fault.value]));
  }

  /** The row's middle, for the lines that end there. */
  middleOf(name: string): number | undefined {
    const box = this.#rows.get(name)?.row.getBoundingClientRect();
    return box && box.top + box.height / 2;
  }

  soon(): void {
    if (this.#asking || !this.#wanted || document.hidden) return;
    clearTimeout(this.#timer);
    void this.#ask();
  }

  async #ask(): Promise<void> {
    this.#asking = true;
    const again = await this.#refresh();
    this.#asking = false;
    if (!again) this.#wanted = false;
    if (!this.#wanted || document.hidden) return;
    this.#timer = setTimeout(() => void this.#ask(), this.#events.busy() ? BUSY_MS : IDLE_MS);
  }

  /** False: there is nothing to ask here. */
  async #refresh(): Promise<boolean> {
    try {
      const ids = this.#events.watched().join(',');
      const signal = AbortSignal.timeout(ANSWER_MS_MAX);
      const headers = this.#events.credentials();
      const response = await fetch(`demo/status?responses=${ids}`, { signal, headers });
      if (response.status === 404 || response.status === 401) return false;
      if (response.ok) this.#show((await response.json()) as Status);
    } catch {
      // The connection's state already says that the server is away.
    }
    return true;
  }

  #show({ upstreams, failures }: Status): void {
    this.#upstreams = upstreams;
    this.#section.hidden = upstreams.length === 0;
    const names = new Set(upstreams.map(({ name }) => name));
    for (const [name, { row }] of this.#rows) {
      if (names.has(name)) continue;
      row.remove();
      this.#rows.delete(name);
    }
    for (const upstream of upstreams) this.#paint(this.#rowOf(upstream), upstream);
    const nowMs = performance.now();
    const byResponse = new Map<string, Failure[]>();
    for (const { response, agoMs, ...failure } of failures) {
      const list = byResponse.get(response) ?? [];
      list.push({ ...failure, atMs: nowMs - agoMs });
      byResponse.set(response, list);
    }
    this.#events.failures(byResponse);
    this.#events.changed();
  }

  #rowOf(upstream: Upstream): Row {
    const known = this.#rows.get(upstream.name);
    if (known) return known;
    const row = element('tr');
    const head = element('th', '', upstream.name);
    head.scope = 'row';
    row.append(head);
    const cells = columns.map(([name, label]) => {
      const cell = element('td');
      cell.dataset.label = label;
      row.append(cell);
      return [name, cell] as const;
    });
    const fault = element('select');
    for (const choice of faultChoices) {
      const option = element('option', '', choice.label);
      option.value = choice.fault;
      fault.append(option);
    }
    fault.setAttribute('aria-label', `What ${upstream.name} does to your next messages`);
    fault.addEventListener('change', () => row.classList.toggle('faulty', fault.value !== ''));
    fault.disabled = !upstream.simulated;
    const cell = element('td', 'switch');
    cell.dataset.label = 'From now on, it …';
    cell.append(fault);
    row.append(cell);
    this.#body.append(row);
    const made = { row, cells: new Map(cells), fault };
    this.#rows.set(upstream.name, made);
    return made;
  }

  #paint({ row, cells }: Row, upstream: Upstream): void {
    const { state, firstTokenMs, restMs } = upstream;
    set(row, { 'data-state': state });
    const texts: Readonly<Record<ColumnName, string | number>> = {
      ...upstream,
      state: restMs > 0 ? `${state}, ${Math.ceil(restMs / 1000)} s` : state,
      firstTokenMs: firstTokenMs === null ? '–' : `${Math.round(firstTokenMs)} ms`,
    };
    for (const [name, cell] of cells) say(cell, String(texts[name]));
  }
}
