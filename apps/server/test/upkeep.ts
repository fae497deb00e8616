// The queue's upkeep without the engine around it: rounds by hand.

import type { Composition } from '../src/app/compose.ts';
import { createUpkeep } from '../src/modules/queue/index.ts';

export const upkeepOf = ({ hot, modules: { queue } }: Composition) =>
  createUpkeep({
    db: hot,
    queue,
    settings: {
      aging_ms: 3_600_000,
      default_ttl_secs: 0,
      idempotency_retention_secs: 86_400,
      lease_ms: 30_000,
      stale_ms: 60_000,
    },
    settlementOf: () => Promise.reject(new Error('these tests lose no lease')),
  });
