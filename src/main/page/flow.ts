/** The picture: lanes on one side, upstreams on the other, the wheel between them. Drops run along the way that an answer really takes. */
import type { Board } from './board.ts';
import { byId, drawing, say, set } from './element.ts';
import type { Lane } from './lane.ts';

const LANE_X = 22;
const END_GAP = 14;
const PITCH = 46;
const WHEEL_RADIUS = 26;
const PADDLES = 8;
/** A failed attempt stays to be seen this long after it was told. */
const FAILURE_MS = 4_000;

interface Point {
  readonly x: number;
  readonly y: number;
}

export class Flow {
  readonly #svg = byId('flow', SVGSVGElement);
  readonly #beds = drawing('g', { class: 'beds' });
  readonly #streams = drawing('g', { class: 'streams' });
  readonly #wheel = drawing('g', { class: 'wheel' });
  readonly #nodes = drawing('g', { class: 'nodes' });
  readonly #parts = new Map<string, SVGElement>();
  #used = new Set<string>();

  constructor() {
    this.#svg.append(this.#beds, this.#streams, this.#wheel, this.#nodes);
    const spin = drawing('g', { class: 'spin' });
    spin.append(drawing('circle', { r: WHEEL_RADIUS - 7 }));
    for (let at = 0; at < PADDLES; at += 1) {
      const turn = `rotate(${(360 / PADDLES) * at})`;
      spin.append(drawing('path', { d: `M0 0V${-WHEEL_RADIUS}`, transform: turn }));
    }
    this.#wheel.append(drawing('circle', { r: WHEEL_RADIUS + 5, class: 'pit' }), spin);
    this.#wheel.append(drawing('circle', { r: 4, class: 'axle' }));
  }

  paint(lanes: readonly Lane[], board: Board, nowMs: number): void {
    const box = this.#svg.getBoundingClientRect();
    const width = Math.round(box.width);
    if (width === 0) return;
    const names = board.upstreams.map(({ name }) => name);
    const height = Math.max(PITCH * Math.max(lanes.length, names.length), Math.round(box.height));
    set(this.#svg, { viewBox: `0 0 ${width} ${height}` });
    const hub = { x: Math.round(width * 0.47), y: height / 2 };
    const spread = (at: number, of: number) => (height / of) * (at + 0.5);
    const ends = new Map<string, Point>();
    this.#used = new Set();
    for (const [at, name] of names.entries()) {
      const middle = board.middleOf(name);
      const beside = middle !== undefined && middle >= box.top && middle <= box.bottom;
      const y = beside ? Math.round(middle - box.top) : spread(at, names.length);
      const end = { x: width - END_GAP, y };
      ends.set(name, end);
      if (!beside) this.#text(`name ${name}`, { x: end.x, y: y - 12 }, 'name', name);
    }
    set(this.#wheel, {
      transform: `translate(${hub.x} ${hub.y})`,
      class: lanes.some((lane) => flowing(lane)) ? 'wheel turning' : 'wheel',
    });
    for (const [name, end] of ends) {
      this.#path(this.#beds, `bed ${name}`, curve(hub, end), 'bed');
      this.#circle(`end ${name}`, end, 5, `end ${stateOf(board, name)}`);
    }
    for (const [at, lane] of lanes.entries()) {
      const from = { x: LANE_X, y: spread(at, lanes.length) };
      this.#lane(lane, from, hub, ends, nowMs);
    }
    for (const [key, part] of this.#parts) {
      if (this.#used.has(key)) continue;
      part.remove();
      this.#parts.delete(key);
    }
  }

  #lane(lane: Lane, from: Point, hub: Point, ends: ReadonlyMap<string, Point>, nowMs: number) {
    const { id, turn, number } = lane;
    this.#path(this.#beds, `bed ${id}`, curve(from, hub), 'bed');
    this.#circle(`lane ${id}`, from, 13, `dot lane-${number}`);
    this.#text(`letter ${id}`, { x: from.x, y: from.y + 5 }, 'letter', lane.letter);
    if (!turn) return;
    for (const [at, { upstream, atMs }] of turn.failures.entries()) {
      const end = ends.get(upstream);
      if (!end || nowMs - atMs > FAILURE_MS) continue;
      this.#path(this.#streams, `failed ${id} ${at}`, curve(hub, end), 'failed');
      const cross = `M${end.x - 28} ${end.y - 5}l10 10m0 -10l-10 10`;
      this.#path(this.#streams, `cross ${id} ${at}`, cross, 'cross');
    }
    if (!lane.running) return;
    const kind = flowing(lane) ? 'drops' : 'asking';
    this.#path(this.#streams, `way ${id}`, curve(from, hub), `${kind} lane-${number}`);
    const end = turn.upstream === undefined ? undefined : ends.get(turn.upstream);
    if (end && flowing(lane))
      this.#path(this.#streams, `on ${id}`, curve(hub, end), `drops lane-${number}`);
  }

  #path(into: SVGElement, key: string, d: string, className: string): void {
    set(this.#part(into, key, 'path'), { d, class: className });
  }

  #text(key: string, { x, y }: Point, className: string, text: string): void {
    const part = this.#part(this.#nodes, key, 'text');
    set(part, { x, y, class: className });
    say(part, text);
  }

  #circle(key: string, { x, y }: Point, r: number, className: string): void {
    set(this.#part(this.#nodes, key, 'circle'), { cx: x, cy: y, r, class: className });
  }

  #part(into: SVGElement, key: string, tag: 'path' | 'circle' | 'text'): SVGElement {
    this.#used.add(key);
    let part = this.#parts.get(key);
    if (!part) {
      part = drawing(tag);
      this.#parts.set(key, part);
      into.append(part);
    }
    return part;
  }
}

const flowing = ({ turn, running }: Lane) => running && turn?.firstMs !== undefined;

function stateOf(board: Board, name: string): string {
  return board.upstreams.find((each) => each.name === name)?.state ?? '';
}

function curve(from: Point, to: Point): string {
  const bend = (to.x - from.x) * 0.55;
  return `M${from.x} ${from.y}C${from.x + bend} ${from.y} ${to.x - bend} ${to.y} ${to.x} ${to.y}`;
}
