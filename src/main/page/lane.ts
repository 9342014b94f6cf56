/** One lane: its turns, its card, its figures. */
import { drawing, element, say, set } from './element.ts';
import {
  createTurn,
  type Failure,
  finishTurn,
  rateOf,
  type ServerEvent,
  segmentsOf,
  stepsOf,
  type Turn,
  takeEvent,
} from './turn.ts';

const TURNS_MAX = 20;
const SPARK_POINTS = 60;
/** A young line does not fill the width yet. */
const SPARK_POINTS_MIN = 16;
const SPARK_WIDTH = 120;
const SPARK_HEIGHT = 26;

export interface LaneEvents {
  cancel(lane: Lane): void;
  close(lane: Lane): void;
  settled(lane: Lane, turn: Turn): void;
}

export class Lane {
  readonly id: string;
  /** Its place among the colours, and its letter. */
  readonly number: number;
  readonly card = element('article', 'lane');
  /** Continues the conversation; undefined at its start and after the connection was lost. */
  previous: string | undefined;
  #turn: Turn | undefined;
  #settled = true;
  /** The newest text is kept in sight, until somebody scrolls up. */
  #follows = true;
  readonly #events: LaneEvents;
  readonly #talk = element('div', 'talk');
  readonly #cancel = element('button', 'quiet', 'Cancel');
  readonly #strip = element('div', 'strip');
  readonly #steps = element('ol', 'steps');
  readonly #rate = element('span', 'rate');
  readonly #spark = drawing('path', { class: 'line' });
  readonly #area = drawing('path', { class: 'area' });
  readonly #figures = element('div', 'figures');
  #answer = element('p', 'answer');
  #thought = element('p', 'thought');

  constructor(number: number, events: LaneEvents) {
    this.number = number;
    this.id = `lane-${number}`;
    this.#events = events;
    this.#build();
  }

  get letter(): string {
    return String.fromCharCode(65 + this.number);
  }
  get turn(): Turn | undefined {
    return this.#turn;
  }
  get running(): boolean {
    return this.#turn !== undefined && !this.#turn.done;
  }

  /** `notes`: what will go wrong on purpose. */
  begin(question: string, notes: readonly string[]): Turn {
    const turn = createTurn(performance.now());
    this.#turn = turn;
    this.#settled = false;
    const asked = element('div', 'turn');
    asked.append(element('p', 'question', question));
    if (notes.length > 0) asked.append(element('p', 'note', notes.join(' · ')));
    this.#thought = element('p', 'thought');
    this.#answer = element('p', 'answer');
    asked.append(this.#thought, this.#answer);
    this.#talk.querySelector('.empty')?.remove();
    this.#talk.append(asked);
    while (this.#talk.children.length > TURNS_MAX) this.#talk.firstElementChild?.remove();
    this.#follows = true;
    this.card.setAttribute('aria-busy', 'true');
    return turn;
  }

  take(event: ServerEvent): void {
    if (this.#turn && !this.#turn.done) takeEvent(this.#turn, event, performance.now());
  }

  /** What was told before keeps its time: each telling knows it a little differently. */
  tell(failures: readonly Failure[]): void {
    const turn = this.#turn;
    if (turn) turn.failures = failures.map((failure, at) => turn.failures[at] ?? failure);
  }

  /** The connection is gone, or was never there. */
  fail(problem: string): void {
    this.previous = undefined;
    if (this.#turn) finishTurn(this.#turn, 'failed', performance.now(), problem);
  }

  paint(nowMs: number): void {
    const turn = this.#turn;
    this.#cancel.disabled = !this.running;
    if (!turn) return;
    this.#paintText(turn);
    this.#paintRate(turn, nowMs);
    this.#paintStory(turn, nowMs);
    if (this.#follows && !this.#settled) this.#talk.scrollTop = this.#talk.scrollHeight;
    if (turn.done && !this.#settled) {
      this.#settled = true;
      this.card.setAttribute('aria-busy', 'false');
      if (turn.status !== 'failed' && turn.id !== undefined) this.previous = turn.id;
      this.#events.settled(this, turn);
    }
  }

  #build(): void {
    this.card.style.setProperty('--lane', `var(--lane-${this.number})`);
    this.card.setAttribute('aria-label', `Lane ${this.letter}`);
    const head = element('div', 'head');
    const close = element('button', 'quiet close', '×');
    close.setAttribute('aria-label', `Close lane ${this.letter}`);
    close.title = 'Close this lane';
    this.#cancel.setAttribute('aria-label', `Cancel lane ${this.letter}`);
    for (const button of [this.#cancel, close]) button.type = 'button';
    this.#cancel.disabled = true;
    this.#cancel.addEventListener('click', () => this.#events.cancel(this));
    close.addEventListener('click', () => this.#events.close(this));
    const svg = drawing('svg', {
      class: 'spark',
      viewBox: `0 0 ${SPARK_WIDTH} ${SPARK_HEIGHT}`,
      preserveAspectRatio: 'none',
      'aria-hidden': 'true',
    });
    svg.append(this.#area, this.#spark);
    head.append(element('h3', 'badge', this.letter), svg, this.#rate, this.#cancel, close);
    // Scrollable, so it takes the focus for the arrow keys.
    this.#talk.tabIndex = 0;
    this.#talk.setAttribute('role', 'region');
    this.#talk.setAttribute('aria-label', `Conversation of lane ${this.letter}`);
    this.#talk.addEventListener('scroll', () => {
      const { scrollTop, clientHeight, scrollHeight } = this.#talk;
      this.#follows = scrollTop + clientHeight > scrollHeight - 40;
    });
    this.#talk.append(element('p', 'empty', 'Quiet water. Ask something.'));
    this.#strip.setAttribute('aria-hidden', 'true');
    this.#figures.append(this.#strip, this.#steps);
    this.#figures.hidden = true;
    this.card.append(head, this.#talk, this.#figures);
  }

  #paintText(turn: Turn): void {
    say(this.#thought, turn.thought);
    say(this.#answer, [turn.text, turn.refusal, ...turn.calls].filter(Boolean).join('\n'));
  }

  #paintRate(turn: Turn, nowMs: number): void {
    const rate = rateOf(turn, nowMs);
    say(this.#rate, rate === undefined ? '' : `${rate.toFixed(rate < 10 ? 1 : 0)} tokens/s`);
    // The slice that still fills would look like a fall.
    const whole = turn.done ? turn.pulse.length : -1;
    const last = turn.pulse.slice(0, whole).slice(-SPARK_POINTS);
    const most = Math.max(4, ...last);
    const step = SPARK_WIDTH / Math.max(SPARK_POINTS_MIN, last.length - 1);
    const height = (n: number) => SPARK_HEIGHT - 2 - (n / most) * (SPARK_HEIGHT - 4);
    const points = last.map((n, at) => `${(at * step).toFixed(1)} ${height(n).toFixed(1)}`);
    const line = points.length > 1 ? `M${points.join('L')}` : undefined;
    const floor = `V${SPARK_HEIGHT}H0Z`;
    set(this.#spark, { d: line });
    set(this.#area, { d: line && line + floor });
  }

  #paintStory(turn: Turn, nowMs: number): void {
    this.#figures.hidden = false;
    const segments = segmentsOf(turn, nowMs);
    while (this.#strip.children.length > segments.length) this.#strip.lastElementChild?.remove();
    for (const [at, segment] of segments.entries()) {
      const piece = (this.#strip.children[at] ??
        this.#strip.appendChild(element('span'))) as HTMLElement;
      set(piece, { class: segment.kind, title: `${segment.label}, ${Math.round(segment.ms)} ms` });
      piece.style.flexGrow = String(segment.ms);
      say(piece, segment.label);
    }
    const steps = stepsOf(turn);
    while (this.#steps.children.length > steps.length) this.#steps.lastElementChild?.remove();
    for (const [at, step] of steps.entries()) {
      const item = this.#steps.children[at] ?? this.#steps.appendChild(element('li'));
      set(item, { class: step.tone });
      say(item, step.text);
    }
  }
}
