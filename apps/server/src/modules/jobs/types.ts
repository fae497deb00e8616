// What other modules get to see of a job.
import type { JsonColumns } from '../../platform/db/json-columns.ts';
import type { ExecutionWindow } from './execution-window.ts';

/** The live job as the trigger path needs it. `paused` is true when the job or its group is paused. */
export interface TriggerJob extends ExecutionWindow {
  readonly id: string;
  readonly project_id: string;
  readonly slug: string;
  readonly name: string;
  readonly enabled: boolean;
  readonly paused: boolean;
  readonly version: number;
  readonly version_id: string | null;
  readonly payload_schema: unknown;
  readonly timeout_secs: number;
  readonly run_ttl_secs: number | null;
  readonly max_attempts: number;
  readonly tags: JsonColumns['jobs.tags'];
  readonly default_run_metadata: JsonColumns['jobs.default_run_metadata'];
  readonly environment_id: string | null;
  readonly max_concurrency: number | null;
  readonly max_concurrency_per_key: number | null;
  readonly rate_limit_max: number | null;
  readonly rate_limit_window_secs: number | null;
  readonly dedup_window_secs: number | null;
  readonly debounce_window_secs: number;
  readonly batch_window_secs: number;
  readonly batch_max_size: number;
  readonly rate_limit_keys: unknown;
  /** The project limits how many runs may wait. */
  readonly queue_limited: boolean;
  /** A daily budget concerns the job whose word is to refuse what it cannot pay for. */
  readonly refuses_over_budget: boolean;
}

/** Everything the executor needs to dispatch one run and to settle it. Immutable; shared between runs. */
export interface JobConfig extends ExecutionWindow {
  readonly job_id: string;
  readonly project_id: string;
  readonly slug: string;
  /** The version these settings are of: the asked one, or the live one when that was never kept. */
  readonly version: number;
  readonly version_id: string | null;
  readonly endpoint_url: string;
  readonly fallback_endpoint_url: string | null;
  /** What breaker and health are kept by: the URLs without what differs from call to call. */
  readonly endpoint: string;
  readonly fallback_endpoint: string | null;
  readonly environment_id: string | null;
  readonly max_attempts: number;
  readonly timeout_secs: number;
  readonly retry_strategy: string;
  readonly retry_delays_secs: readonly number[];
  readonly retry_priority_boost: number;
  readonly poison_pill_threshold: number | null;
  readonly result_schema: unknown;
  /** Of the live job, whatever the version. Throws when the secret cannot be opened. */
  readonly signing_secret: () => string | null;
}
