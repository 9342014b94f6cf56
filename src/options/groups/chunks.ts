/** Stage ⑤: text in pieces of a reader's characters, for dialects that are named; nobody else's text is touched. */
import { z } from 'zod';
import { count, ms } from './scalars.ts';

export const chunks = z
  .record(
    z.string(),
    z.strictObject({
      chunkSize: count(20, 0, 65_536).describe(
        'Characters (graphemes) that one frame holds at most; text is cut between them. 0: as it comes.',
      ),
      delayMs: ms(50, 0, 60_000).describe(
        'Time between two frames with text; a faster upstream is held back. 0: none.',
      ),
    }),
  )
  .default({})
  .describe(
    'Client protocols whose text leaves in small pieces, by name (chat, responses, responses-http, completions, or one of dialects).',
  );
