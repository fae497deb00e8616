// What must hold of the queue whenever nothing is in the middle of a statement.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkQueueTwice } from '../src/modules/queue/index.ts';
import type { Database } from '../src/platform/db/database.ts';

/**
 * Fails when one of the ten checker queries finds a violation. `patience_ms` is how long what may be a
 * passing moment (a lease not marked yet, a due run not moved yet) has to pass.
 */
export async function assertQueueHealthy(
  db: Database,
  { patience_ms = 3000 }: { readonly patience_ms?: number } = {},
): Promise<void> {
  const found = await checkQueueTwice(db, () => sleep(patience_ms));
  assert.deepEqual(found, [], 'the queue checker found violations');
}
