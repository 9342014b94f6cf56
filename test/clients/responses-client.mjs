// @ts-check
/**
 * What a program does with the SDK's Responses socket, the same for every SDK version: it says what it saw as JSON lines, one per
 * step, and the test judges. Nothing here knows millrace but the one extension `response.cancel`.
 *
 * @param {{ OpenAI: any, ResponsesWS: any, openLanes?: (socket: any) => any }} sdk
 */
export async function run({ OpenAI, ResponsesWS, openLanes }) {
  const [baseURL] = process.argv.slice(2);
  const client = new OpenAI({ apiKey: 'any', baseURL });
  const socket = new ResponsesWS(client, {
    reconnect: {
      initialDelay: 200,
      maxDelay: 1000,
      maxRetries: 30,
      onReconnecting: (/** @type {any} */ event) =>
        say('reconnecting', { code: event.closeCode, attempt: event.attempt }),
    },
  });
  socket.on('close', (/** @type {number} */ code) => say('closed', { code }));
  // Without a listener an error event is an unhandled rejection; turns look at the event itself.
  socket.on('error', () => {});

  const first = await turn(socket, { input: '@echo größer 日本 🙂' });
  say('answer', first);
  say('continued', await turn(socket, { input: '@echo again', previous_response_id: first.id }));
  say('cancelled', await cancelledTurn(socket));
  say('refused', await turn(socket, { model: 'gpt-9', input: 'hi' }));
  const down = '@fault only=simulated-a status=503\n@fault only=simulated-b rate=500';
  say('failover', await turn(socket, { input: `@echo unnoticed\n${down}` }));
  say('broken', await turn(socket, { input: '@fault reset-after=3' }));
  const tools = [{ type: 'function', name: 'weather', parameters: { type: 'object' } }];
  say('tool', await turn(socket, { input: '@tool weather {"city":"Köln"}', tools }));
  say('lanes', await (openLanes ? sessionLanes(openLanes(socket)) : rawLanes(socket)));

  // The server is going to leave while an answer streams: the test says when.
  say('ready', {});
  await new Promise((resolve) => process.stdin.once('data', resolve));
  process.stdin.destroy();
  const reconnected = new Promise((resolve) => socket.once('reconnected', resolve));
  const last = turn(socket, { input: '@tokens 60\n@fault rate=40' }, () => say('streaming', {}));
  say('drained', await last);
  await reconnected;
  say('returned', await turn(socket, { input: '@echo after the restart' }));
  socket.close({ code: 1000, reason: 'done' });
}

/**
 * One request on a lane; resolves at its terminal event.
 * @param {any} socket
 * @param {object} request
 * @param {(event: any) => void} [onDelta] once, at the first delta
 */
function turn(socket, request, onDelta) {
  const lane = /** @type {{ stream_id?: string }} */ (request).stream_id;
  /** @type {string[]} */
  const deltas = [];
  /** @type {number[]} */
  const numbers = [];
  return new Promise((resolve) => {
    const lost = () => resolve({ type: 'lost', text: deltas.join('') });
    socket.once('reconnecting', lost);
    const take = (/** @type {any} */ event) => {
      if (event.stream_id !== lane) return;
      if (event.sequence_number !== undefined) numbers.push(event.sequence_number);
      if (event.type === 'response.output_text.delta') {
        deltas.push(event.delta);
        if (deltas.length === 1) onDelta?.(event);
      }
      const { type, response } = event;
      if (!/^(response\.(completed|failed|incomplete)|error)$/.test(type)) return;
      socket.off('event', take);
      socket.off('reconnecting', lost);
      resolve({
        type,
        id: response?.id,
        text: deltas.join(''),
        deltas: deltas.length,
        contiguous: numbers.every((number, index) => number === index),
        output: response?.output,
        usage: response?.usage,
        reason: response?.incomplete_details?.reason,
        error: event.error,
      });
    };
    socket.on('event', take);
    socket.send({ type: 'response.create', model: 'demo', ...request });
  });
}

/** @param {any} socket */
function cancelledTurn(socket) {
  socket.once('response.created', (/** @type {any} */ { response }) => {
    socket.once('response.output_text.delta', () =>
      socket.send({ type: 'response.cancel', response_id: response.id }),
    );
  });
  return turn(socket, { input: '@tokens 5000\n@fault rate=50' });
}

/**
 * Lanes by hand: three at once, told apart by stream_id.
 * @param {any} socket
 */
async function rawLanes(socket) {
  const lanes = ['a', 'b', 'c'];
  const ended = await Promise.all(
    lanes.map((lane) => turn(socket, { stream_id: lane, input: `@echo lane ${lane}` })),
  );
  return { texts: ended.map(({ text }) => text) };
}

/**
 * The SDK's own lane session: three at once, then a second turn on each.
 * @param {any} session
 */
async function sessionLanes(session) {
  const texts = await Promise.all(
    ['a', 'b', 'c'].map(async (name) => {
      const lane = session.lane(name);
      lane.create({ model: 'demo', input: `@echo lane ${name}` });
      const first = await lane.finalResponse();
      lane.create({ model: 'demo', input: '@echo more', previous_response_id: first.id });
      const second = await lane.finalResponse();
      if (second.output_text !== 'more') throw new Error(`second turn said ${second.output_text}`);
      return first.output_text;
    }),
  );
  session.close();
  return { texts };
}

/** @param {string} step @param {any} seen */
function say(step, seen) {
  process.stdout.write(`${JSON.stringify({ step, ...seen })}\n`);
}
