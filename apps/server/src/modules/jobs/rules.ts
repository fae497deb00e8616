// What a job may look like. Pure: the same rules for create, update, clone and batch, always on the whole job.
import { slugProblem } from '../../domain/slug.ts';
import { isTimeZone } from '../../domain/time-zone.ts';
import { cronProblem } from './cron-expression.ts';
import type { JobSettings } from './settings.ts';

export type ProblemCode = 'invalid_job' | 'invalid_schema' | 'invalid_url';

export interface Problem {
  readonly code: ProblemCode;
  /** Field of the request, e.g. `cron` or `rate_limit_keys[1].name`. */
  readonly field: string;
  readonly message: string;
}

export interface RateLimitKey {
  readonly name: string;
  readonly max: number;
  readonly window_secs: number;
}

/** Settings of another execution mode: known, so that they can be refused by name. */
export const managedFields = [
  'machine_preset',
  'image_uri',
  'region',
  'preferred_regions',
] as const;

/** Problems of the request that its columns no longer show. */
export function requestProblems(input: Readonly<Record<string, unknown>>): Problem[] {
  const problems: Problem[] = [];
  if (input['execution_mode'] === 'managed') {
    problems.push(invalid('execution_mode', 'managed execution is not offered; use "http"'));
  }
  for (const field of managedFields) {
    if (isGiven(input[field])) {
      problems.push(invalid(field, 'belongs to managed execution, which is not offered'));
    }
  }
  return problems;
}

export function settingsProblems(job: JobSettings): Problem[] {
  return [
    ...identityProblems(job),
    ...retryProblems(job),
    ...limitProblems(job),
    ...scheduleProblems(job),
    ...chainingProblems(job),
  ];
}

function identityProblems({ name, slug }: JobSettings): Problem[] {
  const problems: Problem[] = [];
  if (name.trim() === '') problems.push(invalid('name', 'must not be empty'));
  const problem = slugProblem(slug);
  if (problem !== undefined) problems.push(invalid('slug', problem));
  return problems;
}

function retryProblems({
  retry_strategy,
  retry_delays_secs,
  poison_pill_threshold,
}: JobSettings): Problem[] {
  const problems: Problem[] = [];
  if (retry_strategy === 'custom' && (retry_delays_secs ?? []).length === 0) {
    problems.push(
      invalid('retry_delays_secs', 'must not be empty when retry_strategy is "custom"'),
    );
  }
  if (poison_pill_threshold === 1) {
    problems.push(invalid('poison_pill_threshold', 'must be at least 2, or 0 for off'));
  }
  return problems;
}

function limitProblems(job: JobSettings): Problem[] {
  const problems: Problem[] = [];
  const { rate_limit_max: max, rate_limit_window_secs: window_secs } = job;
  if ((max ?? 0) > 0 !== (window_secs ?? 0) > 0) {
    const missing = (max ?? 0) > 0 ? 'rate_limit_window_secs' : 'rate_limit_max';
    problems.push(
      invalid(missing, 'rate_limit_max and rate_limit_window_secs are set together or not at all'),
    );
  }
  const names = new Set<string>();
  for (const [index, key] of (job.rate_limit_keys as readonly RateLimitKey[]).entries()) {
    if (names.has(key.name))
      problems.push(invalid(`rate_limit_keys[${index}].name`, 'is used twice'));
    names.add(key.name);
  }
  if (job.debounce_window_secs > 0 && job.batch_window_secs > 0) {
    problems.push(invalid('batch_window_secs', 'cannot be combined with debounce_window_secs'));
  }
  return problems;
}

function scheduleProblems(job: JobSettings): Problem[] {
  const problems: Problem[] = [];
  for (const field of ['cron', 'execution_window_cron'] as const) {
    const problem = job[field] === null ? undefined : cronProblem(job[field]);
    if (problem !== undefined) problems.push(invalid(field, problem));
  }
  if (job.timezone !== null && !isTimeZone(job.timezone)) {
    problems.push(
      invalid('timezone', 'is not the name of an IANA time zone, e.g. "Europe/Berlin"'),
    );
  }
  if (job.skip_if_running !== (job.cron_overlap_policy === 'skip')) {
    problems.push(invalid('skip_if_running', 'contradicts cron_overlap_policy'));
  }
  return problems;
}

function chainingProblems(job: JobSettings): Problem[] {
  const problems: Problem[] = [];
  for (const kind of ['complete', 'failure'] as const) {
    if (job[`on_${kind}_trigger_workflow`] !== null && job[`on_${kind}_trigger_job`] !== null) {
      const field = `on_${kind}_trigger_job`;
      problems.push(invalid(field, `cannot be combined with on_${kind}_trigger_workflow`));
    }
  }
  return problems;
}

function isGiven(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return false;
  return !(Array.isArray(value) && value.length === 0);
}

const invalid = (field: string, message: string): Problem => ({
  code: 'invalid_job',
  field,
  message,
});

// ── health ──────────────────────────────────────────────────────────────────────────────────────────────

export const healthWindows = { '1h': 3600, '1d': 86_400, '7d': 604_800, '30d': 2_592_000 } as const;

/** 0…100; −1 when nothing ran. 70 points for success, 30 for durations that do not scatter. */
export function healthScore(facts: {
  readonly total_runs: number;
  readonly completed_runs: number;
  readonly avg_duration_secs: number;
  readonly p95_duration_secs: number;
}): { readonly success_rate: number; readonly health_score: number } {
  if (facts.total_runs === 0) return { success_rate: 0, health_score: -1 };
  const success_rate = (facts.completed_runs / facts.total_runs) * 100;
  const { avg_duration_secs: avg, p95_duration_secs: p95 } = facts;
  const penalty = p95 > 2 * avg ? Math.min(15 * (p95 / avg - 2), 30) : 0;
  const stability = avg > 0 ? 30 - penalty : 0;
  return { success_rate, health_score: 0.7 * success_rate + stability };
}

/** What decides which version of its job a run runs. */
export interface VersionedRun {
  readonly job_id: string;
  readonly job_version: number;
  readonly live_version: number;
  readonly version_policy: string;
  readonly backwards_compatible: boolean;
}

/** Which version of the job an attempt runs: the run's own, or the live one (engine-semantics §2). */
export function resolveVersion(run: VersionedRun): number {
  if (run.version_policy === 'latest') return run.live_version;
  if (run.version_policy === 'minor' && run.backwards_compatible) return run.live_version;
  return run.job_version;
}
