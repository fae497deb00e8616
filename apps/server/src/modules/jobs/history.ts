// What jobs ask of the module that owns runs. It stands above this one, so it comes as a dependency.
import type { Queryable } from '../../platform/db/query.ts';

export interface JobKey {
  readonly project_id: string;
  readonly job_id: string;
}

/** Ended runs of one job in a window, by state; durations are of those that started, in seconds. */
export interface HealthFacts {
  /** Start of the window. */
  readonly since: string;
  readonly completed: number;
  readonly failed: number;
  readonly timed_out: number;
  readonly crashed: number;
  readonly system_failed: number;
  readonly canceled: number;
  readonly expired: number;
  readonly dead_letter: number;
  readonly avg_duration_secs: number;
  readonly p95_duration_secs: number;
}

export interface JobHistory {
  /** Whether a run of the job is delayed, queued, dequeued, executing or waiting. */
  hasLiveRuns(db: Queryable, key: JobKey): Promise<boolean>;
  /**
   * Removes up to `limit` ended runs, newest first, with everything that hangs off them. Returns how many:
   * fewer than `limit` means that none is left.
   */
  removeRuns(tx: Queryable, key: JobKey, limit: number): Promise<number>;
  /** Removes what is kept per job beside its runs: idempotency keys, lanes. After the runs. */
  removeTraces(tx: Queryable, key: JobKey): Promise<void>;
  /** Runs of these jobs by state, at most `per_job` of each, the newest. */
  countByState(
    db: Queryable,
    input: {
      readonly project_id: string;
      readonly job_ids: readonly string[];
      readonly per_job: number;
    },
  ): Promise<{ readonly counts: Readonly<Record<string, number>>; readonly truncated: boolean }>;
  healthFacts(db: Queryable, key: JobKey & { readonly window_secs: number }): Promise<HealthFacts>;
}
