/** Server-sent events in every legal dress, and some illegal ones; lines of JSON for protocols without events. */
import type { Faults } from './faults.ts';
import type { Voice, WireEvent } from './voices/voice.ts';

export interface Framing {
  event(event: WireEvent): string;
  /** What precedes the first event. */
  readonly preamble: string;
  readonly done: string;
  /** An event whose data ends in the middle of a string. */
  readonly broken: string;
}

const LINE_ENDS: Readonly<Record<string, string>> = { lf: '\n', crlf: '\r\n', cr: '\r' };

export function framingOf(voice: Voice, faults: Faults): Framing {
  return voice.framing === 'lines' ? linesOf(faults) : eventsOf(voice, faults);
}

function linesOf(faults: Faults): Framing {
  return {
    event: ({ json }) => `${faults.escapes ? escaped(json) : json}\n`,
    preamble: '',
    broken: '{"simulated":"broken\n',
    done: '',
  };
}

function eventsOf(voice: Voice, faults: Faults): Framing {
  const end = LINE_ENDS[faults.framing ?? 'lf'];
  const colon = faults['no-space'] ? 'data:' : 'data: ';
  const comment = faults.comments ? `: simulated${end}${end}` : '';
  let number = 0;

  function dataLines(json: string): string {
    if (!faults['multi-data']) return colon + json + end;
    // Only between JSON's own tokens may a line break be added.
    const lines = JSON.stringify(JSON.parse(json), null, 1).split('\n');
    return lines.map((line) => colon + line + end).join('');
  }

  return {
    event({ name, json }) {
      const text = faults.escapes ? escaped(json) : json;
      const named = name ?? (faults.events ? 'message' : undefined);
      const type = named === undefined ? '' : `event: ${named}${end}`;
      const fields = type + (faults.events ? `id: ${(number += 1)}${end}` : '');
      return comment + fields + dataLines(text) + end;
    },
    preamble: faults.bom ? '\ufeff' : '',
    broken: `${colon}{"simulated":"broken${end}${end}`,
    done: voice.marker ? `${colon}[DONE]${faults['bare-done'] ? '' : end + end}` : '',
  };
}

/** JSON text in ASCII. */
function escaped(json: string): string {
  return json.replace(/[^\0-\x7f]/g, (unit) => {
    return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
