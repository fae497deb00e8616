// When a new run may start: not before its job's execution window opens, and not before the job's rate limits allow one
// more when nobody is there to be refused.

import type { Tx } from '../../../platform/db/database.ts';
import {
  findTriggerJobs,
  nextAllowed,
  type ExecutionWindow,
  type TriggerJob,
} from '../../jobs/index.ts';
import { bucketsOf, jobRates } from '../../limits/index.ts';
import { intake, type NewRun } from '../../queue/index.ts';

/** `wanted`, or the later instant it has to be; undefined: at once. */
export function startOf(
  job: ExecutionWindow,
  wanted: string | undefined,
  now_ms: number,
  wait_secs = 0,
): string | undefined {
  const wanted_ms = wanted === undefined ? now_ms : Date.parse(wanted);
  const earliest_ms = Math.max(now_ms + Math.ceil(wait_secs * 1000), wanted_ms);
  const at_ms = nextAllowed(job, earliest_ms);
  return at_ms > Math.max(now_ms, wanted_ms) ? new Date(at_ms).toISOString() : wanted;
}

/**
 * Runs that nobody asks for right now (children, replays, what was debounced or batched) are never refused: what their
 * job's rate limits do not allow yet comes into being delayed, to the instant it is allowed.
 */
export async function deferred(
  tx: Tx,
  job: TriggerJob,
  run: NewRun,
  now_ms: number,
): Promise<NewRun> {
  await holdRooms(tx, [job]);
  const wait_secs = await jobRates.reserve(tx, job);
  const wanted = run.extra?.scheduled_at;
  const scheduled_at = startOf(job, wanted, now_ms, wait_secs);
  return scheduled_at === wanted ? run : { ...run, extra: { ...run.extra, scheduled_at } };
}

/** Rooms are locked before rates, as triggers do. */
async function holdRooms(tx: Tx, jobs: readonly TriggerJob[]): Promise<void> {
  const rated = jobs.filter((job) => job.queue_limited && bucketsOf(job).length > 0);
  for (const project_id of [...new Set(rated.map((job) => job.project_id))].toSorted())
    await intake.hold(tx, project_id);
}

/** The same for runs of any jobs, in order. What has no job, or a disabled one, is left to the insert, which refuses it. */
export async function deferAll(tx: Tx, runs: readonly NewRun[], now_ms: number): Promise<NewRun[]> {
  const found = await findTriggerJobs(
    tx,
    runs.map(({ project_id, job_id }) => ({ project_id, ref: job_id })),
  );
  const enabled = found.flatMap((job) => (job?.enabled ? [job] : []));
  await holdRooms(tx, enabled);
  await jobRates.hold(tx, enabled);
  const allowed: NewRun[] = [];
  for (const [index, run] of runs.entries()) {
    const job = found[index];
    allowed.push(job?.enabled ? await deferred(tx, job, run, now_ms) : run);
  }
  return allowed;
}
