// An attempt that ends while a transaction which made a run is still open: neither may make the other start again.

import { createQueue, type Queue } from '../src/modules/queue/index.ts';
import type { runActions } from './run-actions.ts';
import { untilSomebodyWaits } from './lock-waits.ts';

type Actions = Pick<Awaited<ReturnType<typeof runActions>>, 'app' | 'queue'>;

export function endMeanwhile(
  { app, queue }: Actions,
  claim: { readonly id: string; readonly created_at: string; readonly claim_seq: number },
) {
  const { hot } = app.composition;
  let [made, tries] = [0, 0];
  let ended: Promise<Set<string>> | undefined;
  const ends = createQueue({
    db: {
      query: (call) => {
        if (call.name?.includes('completeRuns')) tries += 1;
        return hot.query(call);
      },
    },
    settings: { aging_ms: 0, default_ttl_secs: 0, idempotency_retention_secs: 86_400 },
  });
  const enqueueMany: Queue['enqueueMany'] = async (runs, tx) => {
    const answers = await queue.enqueueMany(runs, tx);
    made += 1;
    ended ??= ends.complete([{ ...claim, started_at: new Date().toISOString() }]);
    await untilSomebodyWaits(app, 'the end to wait for this transaction');
    return answers;
  };
  return {
    queue: { ...queue, enqueueMany },
    /** Of the end and of the transaction. */
    result: async () => ({ completed: (await ended)?.size, tries, made }),
  };
}
