/** The coordinator thread: writes the upstream table, probes, drains by hand. Wiring only; workers go on without it. */
import { asMillraceError } from '../errors.ts';
import { openThreadCells } from '../memory/thread-cells.ts';
import { openUpstreamTable } from '../memory/upstream-table.ts';
import type { Fact } from '../threads/facts.ts';
import type {
  Configuration,
  CoordinatorStart,
  FromCoordinator,
  ToCoordinator,
} from '../threads/messages.ts';
import { parentChannel } from '../threads/port.ts';
import { COORDINATOR_ROW } from '../threads/roster.ts';
import { systemClock, systemRandom, systemTicker } from '../threads/world.ts';
import { Board } from './board.ts';
import { Patrol } from './patrol.ts';
import { Rates } from './rates.ts';

/** How often the pools are looked at: a shrinking pool is in no hurry, a growing one does not wait for it. */
const SCALE_MS = 1_000;
/** How often success rates are looked at: while failures come in, and while none do. */
const FAILING_MS = 5;
const QUIET_MS = 100;

const port = parentChannel<CoordinatorStart, ToCoordinator, FromCoordinator>();
const { shared, generation } = port.start;
const cells = openThreadCells(shared.threads);
const table = openUpstreamTable(shared.upstreams);
const publish = (fact: Fact) => port.post({ type: 'fact', fact });
const board = new Board(table);
const patrol = new Patrol({ board, ticker: systemTicker, random: systemRandom, publish });
const rates = new Rates({ table, clock: systemClock, random: systemRandom, publish });

/** The board first: the patrol takes its first verdicts from there, and an empty row would read as "failed". */
function configure({ options, seats }: Configuration): void {
  board.write(options, seats);
  patrol.assign(options, seats);
  rates.configure(options, seats);
}

function stop(): void {
  stopBeat();
  stopScaling();
  stopLooking();
  patrol.stop();
}

function beat(): void {
  // Replaced: the row and the table belong to another coordinator.
  if (cells.generation(COORDINATOR_ROW) !== generation) return stop();
  cells.beat(COORDINATOR_ROW);
}

/** What an operator asks for, answered and said. */
function act(id: number, action: () => Fact): void {
  try {
    const fact = action();
    port.post({ type: 'answer', id });
    publish(fact);
  } catch (thrown) {
    port.post({ type: 'answer', id, error: asMillraceError(thrown).toWire() });
  }
}

port.listen((message) => {
  switch (message.type) {
    case 'drain':
      return act(message.id, () => {
        const { upstream, drained } = message;
        board.drain(upstream, drained);
        return { fact: 'upstream-drain', upstream, drained };
      });
    case 'weigh':
      return act(message.id, () => {
        const { upstream } = message;
        const weight = board.weigh(upstream, message.weight);
        return { fact: 'upstream-weight', upstream, weight, byHand: message.weight !== 0 };
      });
    case 'configure':
      configure(message.configuration);
      return port.post({ type: 'answer', id: message.id });
    case 'stop':
      stop();
      return port.post({ type: 'stopped' });
  }
});

// Nothing but the watch for a hung thread waits for its beat.
const { heartbeatMs, hungAfterMs } = port.start.options.threads;
const stopBeat = systemTicker.every(Math.max(heartbeatMs, hungAfterMs / 20), beat);
const stopScaling = systemTicker.every(SCALE_MS, () => board.scale(systemClock.now()));
let stopLooking = () => {};
function look(): void {
  stopLooking = systemTicker.after(rates.look() ? FAILING_MS : QUIET_MS, look);
}
beat();
configure(port.start);
look();
port.post({ type: 'ready' });
