// A job's runs as a whole. Shaped as modules/jobs asks for it (JobHistory).

import type { Queryable } from '../../../platform/db/query.ts';
import type { HealthFacts, JobHistory, JobKey } from '../../jobs/index.ts';
import { markDependentsOnJob } from '../endings/store.sql.ts';
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
      await markDependentsOnJob(tx, { job_id: key.job_id });
    },
    async countByState(tx, { project_id, job_ids, per_job }) {
      const rows = await store.countByState(tx, { project_id, job_ids, limit: per_job + 1 });
      return {
        counts: Object.fromEntries(rows.map(({ status, runs }) => [status, runs])),
        truncated: rows.some(({ full }) => full),
      };
    },
    healthFacts: (
      db: Queryable,
      key: JobKey & { readonly window_secs: number },
    ): Promise<HealthFacts> => store.jobHealth(db, key),
  };
}
