// A job's runs as a whole. Shaped as modules/jobs asks for it (JobHistory).

import type { Queryable } from '../../../platform/db/query.ts';
import type { HealthFacts, JobHistory, JobKey } from '../../jobs/index.ts';
import * as store from './store.sql.ts';

export function createRunHistory(): JobHistory {
  return {
    hasLiveRuns: async (db: Queryable, key: JobKey): Promise<boolean> =>
      (await store.hasLiveRuns(db, key)).live,
    async removeRuns(tx: Queryable, key: JobKey, limit: number): Promise<number> {
      await store.cutContinuations(tx, { ...key, limit });
      return store.removeRuns(tx, { ...key, limit });
    },
    async removeTraces(tx: Queryable, key: JobKey): Promise<void> {
      await store.removeKeys(tx, { job_id: key.job_id });
      await store.removeLanes(tx, key);
    },
    healthFacts: (
      db: Queryable,
      key: JobKey & { readonly window_secs: number },
    ): Promise<HealthFacts> => store.jobHealth(db, key),
  };
}
