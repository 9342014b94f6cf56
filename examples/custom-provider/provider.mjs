/**
 * An upstream protocol of your own. This one takes `{"prompt":"…"}` and answers lines of JSON: `{"word":"…"}` again and again, then
 * `{"end":true}`.
 */
import { Delta, defineProvider, MillraceError, TextOut } from 'millrace/modules';

export default defineProvider({
  name: 'words',

  encode({ messages }, { apiKey }) {
    const last = messages.at(-1);
    const prompt = [last?.content ?? []]
      .flat()
      .map((part) => part.text ?? part)
      .join('');
    return {
      method: 'POST',
      path: '/words',
      headers: {
        'content-type': 'application/json',
        ...(apiKey && { authorization: `Bearer ${apiKey}` }),
      },
      body: JSON.stringify({ prompt }),
    };
  },

  decoder(upstream, sink, { eventBytesMax }) {
    const out = new TextOut(sink);
    const text = new TextDecoder();
    let rest = '';
    let state = 'open';

    const fail = (error) => {
      state = 'done';
      sink.fail(error);
    };
    const line = (said) => {
      const event = JSON.parse(said);
      if (event.end) {
        out.release();
        state = 'done';
        sink.finish('stop');
      } else out.say(Delta.text, 0, event.word);
    };

    return {
      get state() {
        return state;
      },
      push(bytes) {
        rest += text.decode(bytes, { stream: true });
        const lines = rest.split('\n');
        rest = lines.pop();
        for (const said of lines) {
          if (state === 'done') return;
          try {
            line(said);
          } catch {
            const reason = 'a line that is no JSON';
            return fail(new MillraceError('MILLRACE_UPSTREAM_MALFORMED', { upstream, reason }));
          }
        }
        // A line without an end would be kept for ever.
        if (rest.length > eventBytesMax && state !== 'done') {
          const max = eventBytesMax;
          return fail(new MillraceError('MILLRACE_UPSTREAM_TOO_LARGE', { upstream, max }));
        }
        sink.flush();
      },
      // The body is over: without {"end":true} the answer is not complete.
      close(cause) {
        if (state === 'done') return;
        fail(cause ?? new MillraceError('MILLRACE_UPSTREAM_TRUNCATED', { upstream }));
      },
    };
  },

  refusal(upstream, status, _headers, body) {
    const reason = Buffer.from(body).toString().slice(0, 200);
    // 429 and 5xx: another upstream may do better. Anything else is the request's fault.
    const code =
      status === 429 || status >= 500 ? 'MILLRACE_UPSTREAM_STATUS' : 'MILLRACE_UPSTREAM_REJECTED';
    return new MillraceError(code, { upstream, upstreamStatus: status, reason });
  },
});
