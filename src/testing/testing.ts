/** millrace/testing: an upstream that is simulated and says so, and clients without a network. */
export { type FaultName, type Faults, faultNames } from '../simulate/faults.ts';
export type { Ending, Journal, JournalEntry } from '../simulate/journal.ts';
export type { SimulatedOptions } from '../simulate/options.ts';
export {
  type FaultControl,
  type SimulatedServer,
  startSimulated as simulatedUpstream,
} from '../simulate/server.ts';
export { type Client, type Closed, type ConnectOptions, connect, RefusedError } from './connect.ts';
