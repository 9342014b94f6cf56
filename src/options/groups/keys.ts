/** Who may come. */
import { z } from 'zod';

export const keys = z
  .array(z.string().min(1))
  .default([])
  .describe('API keys that clients may use; none means that no key is asked for.');
