// When to claim, against claims that answer when the test says so.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ClaimedRun } from '../queue/index.ts';
import { createAttempts } from './attempts.ts';
import { createClaiming, type ClaimingDeps } from './claiming.ts';

function scripted(parts: Pick<ClaimingDeps, 'claim'> & Partial<ClaimingDeps>) {
  const errors: unknown[] = [];
  const attempts = createAttempts({ capacity: 10, monotonic: () => 0, mayStart: () => true });
  const claiming = createClaiming({
    attempts,
    settings: { concurrency: 10, claim_batch: 10, claimers: 1 },
    anyReady: async () => false,
    mayStart: () => true,
    begin: (run) => void attempts.begin(run),
    refuse: async () => {},
    giveBack: async () => {},
    onError: (error) => void errors.push(error),
    ...parts,
  });
  return { claiming, errors };
}

const runs = (count: number) =>
  Array.from({ length: count }, (_, n) => ({
    id: `r${n}`,
    claim_seq: n,
    verdict: 'go',
    project_id: 'p',
  })) as unknown as ClaimedRun[];

/** As many timers as wait in this process. */
const timers = () => process.getActiveResourcesInfo().filter((what) => what === 'Timeout').length;

describe('claiming', () => {
  it('looks a moment after a wake, however long it was going to wait for others', async () => {
    const crowded = Promise.withResolvers<void>();
    const next = Promise.withResolvers<string>();
    let [claims, looks, woken] = [0, 0, false];
    const { claiming } = scripted({
      claim: async () => {
        if (woken) next.resolve('soon');
        return claims++ === 0 ? runs(9) : [];
      },
      // Waits of 4, 8, 16 and 32 ms are over; the next one is 64.
      anyReady: async () => {
        if (++looks === 5) setImmediate(crowded.resolve);
        return true;
      },
    });
    claiming.wake();
    await crowded.promise;
    woken = true;
    claiming.wake();
    const late = setTimeout(() => next.resolve('late'), 40);
    assert.equal(await next.promise, 'soon');
    clearTimeout(late);
    await claiming.stop();
  });

  it('that failed goes on when there was news meanwhile, and waits for news otherwise', async () => {
    const answers = [Promise.withResolvers<never[]>(), Promise.withResolvers<never[]>()];
    const again = Promise.withResolvers<void>();
    let claims = 0;
    const { claiming, errors } = scripted({
      claim: () => {
        if (claims === 1) again.resolve();
        return answers[claims++]?.promise ?? Promise.resolve([]);
      },
    });
    claiming.wake();
    claiming.wake();
    answers[0]?.reject(new Error('no'));
    await again.promise;
    answers[1]?.reject(new Error('no'));
    await claiming.stop();
    assert.deepEqual([claims, errors.length], [2, 2]);
  });

  it('claims nothing while what it claims could not be sent', async () => {
    let [claims, sure] = [0, false];
    const { claiming } = scripted({ claim: async () => (claims++, []), mayStart: () => sure });
    claiming.wake();
    claiming.room();
    assert.equal(claims, 0);
    sure = true;
    claiming.wake();
    assert.equal(claims, 1);
    await claiming.stop();
  });

  it('leaves no timer behind when it stops during a look', async () => {
    const looking = Promise.withResolvers<void>();
    const some = Promise.withResolvers<boolean>();
    const { claiming } = scripted({
      claim: async () => [],
      anyReady: () => {
        looking.resolve();
        return some.promise;
      },
    });
    claiming.wake();
    await looking.promise;
    const before = timers();
    const stopped = claiming.stop();
    some.resolve(true);
    await stopped;
    assert.equal(timers(), before);
  });
});
