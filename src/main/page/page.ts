/** The page: lanes over one socket, the board, the picture, and the form that asks. */
import { Board } from './board.ts';
import { byId, element, say } from './element.ts';
import { faultChoices, withFaults } from './fault-choices.ts';
import { Flow } from './flow.ts';
import { Lane } from './lane.ts';
import { createLink, type Link } from './link.ts';
import type { ServerEvent, Turn } from './turn.ts';

const LANES_MAX = 6;
const PAINT_MS = 250;
const KEY_PROTOCOL = 'openai-insecure-api-key.';
/** The model of the simulated upstreams: only it understands wishes for faults. */
const DEMO_MODEL = 'demo';

const prompt = byId('prompt', HTMLTextAreaElement);
const model = byId('model', HTMLSelectElement);
const key = byId('key', HTMLInputElement);
const lanes: Lane[] = [];
let link: Link | undefined;
let ready = false;
let target: Lane | 'all' = 'all';
let painting = false;

const flow = new Flow();
const board = new Board({
  credentials,
  watched: () => lanes.flatMap(({ turn }) => turn?.id ?? []),
  busy: () => lanes.some(({ running }) => running),
  failures(byResponse) {
    for (const lane of lanes) {
      const told = byResponse.get(lane.turn?.id ?? '');
      if (told) lane.tell(told);
    }
  },
  changed: paintSoon,
});

const events = {
  cancel(lane: Lane): void {
    if (lane.running) link?.send({ type: 'response.cancel', stream_id: lane.id });
  },
  close(lane: Lane): void {
    events.cancel(lane);
    lanes.splice(lanes.indexOf(lane), 1);
    lane.card.remove();
    if (lanes.length === 0) addLane();
    aim(target === lane ? 'all' : target);
    prompt.focus();
  },
  settled(lane: Lane, turn: Turn): void {
    const by = turn.upstream === undefined ? '' : ` by ${turn.upstream}`;
    const after = turn.attempts > 1 ? ` at attempt ${turn.attempts}` : '';
    say(
      byId('said', HTMLElement),
      `Lane ${lane.letter}: ${turn.problem ?? `${turn.status}${by}${after}`}`,
    );
    board.soon();
    showForm();
  },
};

/** What shows a request to be ours. */
function credentials(): Record<string, string> {
  const given = key.value.trim();
  return given ? { authorization: `Bearer ${given}` } : {};
}

/** A browser does not tell a page why its WebSocket was refused; a plain request learns it. Without a right key trying again is pointless. */
async function askWhy(refused: Link): Promise<void> {
  const answer = await fetch('v1/models', { headers: credentials() }).catch(() => undefined);
  if (answer?.status !== 401 || refused !== link || ready) return;
  refused.close();
  const given = key.value.trim() !== '';
  showLink(
    'closed',
    given ? 'this server does not know that key' : 'this server asks for an API key',
  );
  byId('settings', HTMLDetailsElement).open = true;
  key.focus();
}

function showLink(state: string, text: string): void {
  byId('link', HTMLElement).dataset.state = state;
  say(byId('link', HTMLElement), text);
}

function connect(): void {
  link?.close();
  for (const lane of lanes) lane.previous = undefined;
  const url = new URL('v1/responses', location.href);
  url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  const given = key.value.trim();
  const protocols = given ? [KEY_PROTOCOL + given] : [];
  const mine: Link = createLink(() => new WebSocket(url.href, protocols), {
    state(state, text) {
      ready = state === 'open';
      showLink(state, text);
      if (ready) void listModels();
      if (state === 'waiting') void askWhy(mine);
      showForm();
    },
    event: hear,
    lost(code, reason) {
      const why = `The connection closed (${code}${reason ? ` ${reason}` : ''})`;
      for (const lane of lanes) {
        lane.previous = undefined;
        if (lane.running) lane.fail(`${why} before the answer was complete.`);
      }
      paintSoon();
    },
  });
  link = mine;
}

function hear(event: ServerEvent): void {
  const lane = lanes.find(({ id }) => id === event.stream_id);
  if (!lane) return;
  lane.take(event);
  paintSoon();
}

function addLane(): void {
  const taken = new Set(lanes.map(({ number }) => number));
  const number = [...Array(LANES_MAX).keys()].find((each) => !taken.has(each));
  if (number === undefined) return;
  const lane = new Lane(number, events);
  lanes.push(lane);
  byId('lanes', HTMLElement).append(lane.card);
  aim(target);
}

/** Chooses who hears the next message, and shows the choice. */
function aim(at: Lane | 'all'): void {
  target = at;
  const choices = (['all', ...lanes] as const).map((each) => {
    const label = element('label', 'aim');
    const input = element('input');
    input.type = 'radio';
    input.name = 'target';
    input.checked = each === target;
    input.addEventListener('change', () => {
      target = each;
      showForm();
    });
    const text = each === 'all' ? 'all lanes' : `lane ${each.letter}`;
    label.append(input, element('span', '', text));
    if (each !== 'all') label.style.setProperty('--lane', `var(--lane-${each.number})`);
    return label;
  });
  byId('targets', HTMLElement).replaceChildren(...choices);
  showForm();
  paintSoon();
}

const aimed = () => (target === 'all' ? lanes : [target]);

function showForm(): void {
  byId('ask', HTMLButtonElement).disabled = !ready || aimed().every(({ running }) => running);
  byId('cancel', HTMLButtonElement).disabled = !aimed().some(({ running }) => running);
  byId('add', HTMLButtonElement).disabled = lanes.length >= LANES_MAX;
}

/** An empty message asks what the field suggests. */
function ask(): void {
  const message = prompt.value.trim() || prompt.placeholder;
  const idle = aimed().filter(({ running }) => !running);
  if (!ready || idle.length === 0) return;
  const demo = model.value === DEMO_MODEL;
  const faults = demo ? board.faults : new Map<string, string>();
  const notes = [...faults].flatMap(([upstream, fault]) => {
    const choice = faultChoices.find((each) => each.fault === fault && fault !== '');
    return choice ? [`${upstream} ${choice.label}`] : [];
  });
  const input = withFaults(message, faults);
  for (const lane of idle) {
    lane.begin(message, notes);
    const asked = { type: 'response.create', stream_id: lane.id, model: model.value, input };
    const previous = lane.previous && { previous_response_id: lane.previous };
    if (!link?.send({ ...asked, ...previous })) lane.fail('The connection is not open.');
  }
  prompt.value = '';
  // Where lanes lie below one another, the first that answers comes into sight.
  if (matchMedia('(max-width: 47rem)').matches) idle[0].card.scrollIntoView({ block: 'start' });
  board.soon();
  showForm();
  paintSoon();
}

function paintSoon(): void {
  if (painting) return;
  painting = true;
  requestAnimationFrame(() => {
    painting = false;
    paint();
  });
}

function paint(): void {
  const nowMs = performance.now();
  for (const lane of lanes) lane.paint(nowMs);
  flow.paint(lanes, board, nowMs);
}

function setModel(): void {
  const demo = model.value === DEMO_MODEL;
  byId('notice', HTMLElement).hidden = !demo;
  byId('examples', HTMLElement).hidden = !demo;
}

async function listModels(): Promise<void> {
  try {
    const response = await fetch('v1/models', { headers: credentials() });
    const { data } = (await response.json()) as { data?: { id: string }[] };
    const chosen = model.value;
    const ids = (data ?? []).map(({ id }) => id);
    if (ids.length > 0) model.replaceChildren(...ids.map((id) => element('option', '', id)));
    if (ids.includes(chosen)) model.value = chosen;
    board.wanted = ids.includes(DEMO_MODEL);
  } catch {
    // The list is a convenience: the server checks the model anyway.
  }
  setModel();
}

function listen(): void {
  byId('form', HTMLElement).addEventListener('submit', (event) => {
    event.preventDefault();
    ask();
  });
  prompt.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    ask();
  });
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') for (const lane of aimed()) events.cancel(lane);
  });
  byId('cancel', HTMLElement).addEventListener('click', () => {
    for (const lane of aimed()) events.cancel(lane);
  });
  byId('add', HTMLElement).addEventListener('click', addLane);
  byId('examples', HTMLElement).addEventListener('click', ({ target: button }) => {
    const text = (button as HTMLElement).dataset.text;
    if (text === undefined) return;
    prompt.value = text;
    prompt.focus();
  });
  model.addEventListener('change', setModel);
  key.addEventListener('change', connect);
  addEventListener('resize', paintSoon);
  // Strips grow and failures fade also while nothing arrives.
  setInterval(paintSoon, PAINT_MS);
}

listen();
addLane();
addLane();
connect();
// A touch screen would answer with its keyboard.
if (!matchMedia('(pointer: coarse)').matches) prompt.focus({ preventScroll: true });
