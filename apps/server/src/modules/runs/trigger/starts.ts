// When a new run may start: not before its job's execution window opens, and not before the job's rate limits allow one
// more when nobody is there to be refused.

import type { DelayStep } from '../../../domain/delay.ts';
import type { Tx } from '../../../platform/db/database.ts';
import {
  findTriggerJobs,
  nextAllowed,
  type ExecutionWindow,
  type TriggerJob,
} from '../../jobs/index.ts';
import { bucketsOf, jobRates, type Reserved } from '../../limits/index.ts';
import { intake, type NewRun } from '../../queue/index.ts';

export interface Start {
  /** `wanted`, or the later instant it has to be; undefined: at once. */
  readonly scheduled_at: string | undefined;
  /** What moved it, each step later than the one before; undefined: nothing did. */
  readonly delayed_by?: readonly DelayStep[] | undefined;
}

/** Turns of a limit of one run in decades add up; years of five digits are written in a way that the database does not read. */
const LAST_MS = Date.UTC(9999, 11, 31);

export function startOf(
  job: ExecutionWindow,
  wanted: string | undefined,
  now_ms: number,
  { wait_secs, limit }: Reserved = { wait_secs: 0 },
): Start {
  const steps: DelayStep[] = [];
  let at_ms = now_ms;
  const notBefore = (ms: number, step: Omit<DelayStep, 'until'>) => {
    if (ms <= at_ms) return;
    at_ms = Math.min(ms, LAST_MS);
    steps.push({ ...step, until: new Date(at_ms).toISOString() });
  };
  if (wanted !== undefined) notBefore(Date.parse(wanted), { kind: 'delayed' });
  notBefore(now_ms + Math.ceil(wait_secs * 1000), { kind: 'rate_limit', limit });
  notBefore(nextAllowed(job, at_ms), { kind: 'execution_window' });
  const last = steps.at(-1);
  return last === undefined || last.kind === 'delayed'
    ? { scheduled_at: wanted }
    : { scheduled_at: last.until, delayed_by: steps };
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
  const reserved = await jobRates.reserve(tx, job);
  const wanted = run.extra?.scheduled_at;
  const start = startOf(job, wanted, now_ms, reserved);
  return start.scheduled_at === wanted ? run : { ...run, extra: { ...run.extra, ...start } };
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
