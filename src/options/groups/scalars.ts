/** Numbers with bounds, by their unit. */
import { z } from 'zod';

export const KiB = 1024;
export const MiB = 1024 * KiB;

const integer = (fallback: number, min: number, max: number) =>
  z.int().min(min).max(max).default(fallback);

export const ms = (fallback: number, min = 0, max = 2 ** 31 - 1) => integer(fallback, min, max);
export const count = integer;
export const bytes = integer;

/** From 0 to 1. */
export const share = (fallback: number) => z.number().min(0).max(1).default(fallback);
