// Waiting for something another process or loop does: polls, has a deadline, and says what it last saw.

import { setTimeout as sleep } from 'node:timers/promises';

/** Resolves with the first truthy answer; rejects after `deadline_ms` with the last one. */
export async function until<T>(
  what: string,
  look: () => Promise<T> | T,
  { deadline_ms = 10_000, every_ms = 20 }: { deadline_ms?: number; every_ms?: number } = {},
): Promise<Exclude<T, null | undefined | false | 0 | ''>> {
  const end = performance.now() + deadline_ms;
  for (;;) {
    const seen = await look();
    if (seen) return seen as Exclude<T, null | undefined | false | 0 | ''>;
    if (performance.now() > end)
      throw new Error(
        `still waiting for ${what} after ${deadline_ms} ms; last saw ${JSON.stringify(seen)}`,
      );
    await sleep(every_ms);
  }
}
