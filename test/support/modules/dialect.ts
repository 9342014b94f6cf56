/** A dialect of the user's own: a line of text asks, lines of text answer. */
import { MillraceError } from '../../../src/errors.ts';
import type { Conversation, Dialect, Encoder, FrameSink } from '../../../src/protocol/dialect.ts';
import { formatId } from '../../../src/protocol/ids.ts';
import { setFault } from './provider.ts';

const COMMIT = 2;
const TERMINAL = 4;

function line(out: FrameSink): Encoder {
  let sequence = 0;
  const say = (text: string, flags: number) => {
    const bytes = Buffer.from(text);
    out.frame(bytes, bytes.length, flags, sequence++);
  };
  return {
    get sequence() {
      return sequence;
    },
    get committed() {
      return sequence > 0;
    },
    from() {},
    delta(_kind, _part, bytes, start, end) {
      const body = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString();
      say(`+${JSON.parse(`"${body}"`) as string}`, COMMIT);
    },
    tool() {},
    usage() {},
    flush() {},
    finish: (reason) => say(`.${reason}`, TERMINAL),
    fail: (error) => say(`!${error.code}`, TERMINAL),
    cancel: () => say('.cancelled', TERMINAL),
    epitaph: (error) => ({ bytes: Buffer.from(`!${error.code}`), at: -1 }),
  };
}

const conversation: Conversation = {
  heldBytes: 0,
  decode({ bytes, seed }) {
    const text = Buffer.from(bytes).toString();
    if (text === 'decode throws') throw new Error('a fault the test ordered');
    if (text.startsWith('fault ')) {
      setFault(text.slice('fault '.length));
      return { kind: 'reply', frames: [Buffer.from('ok')] };
    }
    const responseId = formatId('line_', seed);
    return { kind: 'turn', turn: { lane: '', model: 'demo', responseId, detail: text } };
  },
  begin(turn, out) {
    if (turn.detail === 'begin throws') throw new Error('a fault the test ordered');
    const content = [{ type: 'text', text: String(turn.detail) }] as const;
    const request = { model: turn.model, messages: [{ role: 'user', content }] as const };
    return { kind: 'run', request, encoder: line(out) };
  },
  refuse() {
    throw new Error('a refusal that cannot be said');
  },
};

const dialect: Dialect = {
  name: 'line',
  binary: false,
  conversation: () => conversation,
  complain(error) {
    if (error instanceof MillraceError && error.code === 'MILLRACE_OVERLOADED') throw error;
    return Buffer.from(`!${error.code}`);
  },
};

export default dialect;
