// When a project's queue has to be counted again.

/** Below this, granting is not worth the counting of those that may come back. */
const WORTH_GRANTING = 20;
const COUNTED_PER_MS = 100;
/** Short queues are counted whenever somebody asks. */
const SHORT = 2_000;

/**
 * How many runs may still be queued without counting. Whoever executes or waits may queue again without asking, so its
 * place is kept free.
 */
export function creditOf(most: number, queued: number, returning: number): number {
  const room = most - queued - returning;
  return room >= WORTH_GRANTING ? room : 0;
}

/** How long a count that found no room is believed, in ms: counting takes at most a few per cent of the time. */
export const restOf = (queued: number): number => (queued < SHORT ? 0 : queued / COUNTED_PER_MS);
