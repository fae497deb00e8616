// Triggers of one job, decided one after the other in memory with what a few statements for all of them found: the answers
// are those that they would have got one by one. What is found is held until the transaction ends.

import type { Tx } from '../../../platform/db/database.ts';
import type { Failure } from '../../../platform/failure.ts';
import type { TriggerJob } from '../../jobs/index.ts';
import { jobRates } from '../../limits/index.ts';
import {
  intake,
  money,
  type Enqueued,
  type Queue,
  type RunStatus,
  type SamePayload,
} from '../../queue/index.ts';
import { queueFull, rateLimited, type Admitted, type Asked, type AskedRun } from './admitted.ts';
import type { Buffering } from './buffering.ts';
import type { PaidTriggers } from './paid.ts';
import { isBuffered } from './prepare.ts';

interface Deciding {
  readonly queue: Pick<Queue, 'enqueueMany' | 'keyHolders'>;
  readonly buffering: Pick<Buffering, 'put'>;
  readonly paid: Pick<PaidTriggers, 'requireFit'>;
}

/** Runs with the payloads of these that came within the job's window; of the others nobody else creates one. */
export async function duplicates(
  tx: Tx,
  job: TriggerJob,
  runs: readonly AskedRun[],
): Promise<Map<string, SamePayload>> {
  const window_secs = job.dedup_window_secs ?? 0;
  if (window_secs === 0 || runs.length === 0) return new Map();
  const payloads = new Map(runs.map(({ payload_hash, payload }) => [payload_hash, payload]));
  return intake.holdPayloads(tx, {
    project_id: job.project_id,
    job_id: job.id,
    window_secs,
    payload_hashes: [...payloads.keys()],
    payloads: [...payloads.values()],
  });
}

/** One answer per trigger, in order. */
export async function decideSet(
  tx: Tx,
  { queue, buffering, paid }: Deciding,
  job: TriggerJob,
  set: readonly Asked[],
): Promise<(Admitted | Failure)[]> {
  const runs = set.map(({ run }) => run);
  // Before anything else is locked. What is buffered meets the budget as a run that nobody asks for: it waits.
  const root_lane_id =
    job.refuses_over_budget && !isBuffered(job) ? await money.lock(tx, job.project_id) : undefined;
  const answers: (Admitted | Failure | undefined)[] = await queue.keyHolders(runs, tx);
  const open = [...runs.keys()].filter((index) => answers[index] === undefined);
  const done = () => answers.map((answer): Admitted | Failure => answer ?? { outcome: 'refused' });
  if (open.length === 0 || !job.enabled) return done();

  const room = job.queue_limited
    ? await intake.roomFor(tx, job.project_id, open.length)
    : open.length;
  const buffered = isBuffered(job);
  const rate = buffered
    ? await lookAtRate(tx, job)
    : await jobRates.takeSome(tx, job, Math.min(room, open.length));
  const askable = open.map((index) => runs[index] as AskedRun);
  const same = rate.taken > 0 ? await duplicates(tx, job, askable) : new Map<string, never>();

  // A run that is made here answers for what comes after it with the same payload or key.
  const compared = (job.dedup_window_secs ?? 0) > 0 && !buffered;
  const ofPayload = new Map<string, number>();
  const ofKey = new Map<string, number>();
  const following = new Map<number, number>();
  const made: number[] = [];
  for (const index of open) {
    const { payload_hash, idempotency_key: key } = runs[index] as AskedRun;
    const twin = same.get(payload_hash) as SamePayload | undefined;
    const same_key = key === undefined ? undefined : ofKey.get(key);
    const same_payload = compared ? ofPayload.get(payload_hash) : undefined;
    if (same_key !== undefined) following.set(index, same_key);
    else if (made.length >= room) answers[index] = queueFull();
    else if (made.length >= rate.taken) answers[index] = rateLimited(rate.wait_secs);
    else if (twin)
      answers[index] = { outcome: 'duplicate', id: twin.id, status: twin.status as RunStatus };
    else if (same_payload !== undefined) following.set(index, same_payload);
    else {
      made.push(index);
      ofPayload.set(payload_hash, index);
      if (key !== undefined && !buffered) ofKey.set(key, index);
    }
  }

  const chosen = made.map((index) => set[index] as Asked);
  const outcomes =
    chosen.length === 0
      ? []
      : buffered
        ? await buffering.put(tx, job, chosen)
        : await queue.enqueueMany(
            chosen.map(({ run }) => run),
            tx,
          );
  for (const [position, index] of made.entries()) answers[index] = outcomes[position];
  // One that cannot be paid for takes back all of them; they are asked again one by one.
  if (root_lane_id !== undefined)
    await paid.requireFit(
      tx,
      root_lane_id,
      chosen.map(({ run }) => run),
      outcomes as Enqueued[],
    );
  const created = outcomes.filter(({ outcome }) => outcome === 'created').length;
  if (!buffered) await jobRates.take(tx, job, created - rate.taken);

  for (const [index, first] of following)
    answers[index] = followOf(answers[first], runs[index], runs[first]);
  await lookForHolders(tx, queue, runs, answers);
  return done();
}

/** What waits is counted when it becomes a run; until then it only must not be refused anyway. */
async function lookAtRate(tx: Tx, job: TriggerJob): Promise<{ taken: number; wait_secs: number }> {
  const wait_secs = await jobRates.look(tx, job, 1);
  return { taken: wait_secs > 0 ? 0 : Number.POSITIVE_INFINITY, wait_secs };
}

/** The answer of a trigger that came after another one with its key or its payload. */
function followOf(
  first: Admitted | Failure | undefined,
  run: AskedRun | undefined,
  maker: AskedRun | undefined,
): Admitted | Failure | undefined {
  if (!first || !('outcome' in first) || (first.outcome !== 'created' && first.outcome !== 'held'))
    return first;
  const { id } = first;
  const status = first.status as RunStatus;
  if (run?.idempotency_key === undefined || run.idempotency_key !== maker?.idempotency_key)
    return { outcome: 'duplicate', id, status };
  const payload_hash = first.outcome === 'held' ? first.payload_hash : maker.payload_hash;
  return { outcome: 'held', id, status, created_at: first.created_at, payload_hash };
}

/** Whoever took the last place may have been the same trigger, in another process. */
async function lookForHolders(
  tx: Tx,
  queue: Deciding['queue'],
  runs: readonly AskedRun[],
  answers: (Admitted | Failure | undefined)[],
): Promise<void> {
  const refused = [...runs.keys()].filter(
    (index) => answers[index] instanceof Error && runs[index]?.idempotency_key !== undefined,
  );
  if (refused.length === 0) return;
  const holders = await queue.keyHolders(
    refused.map((index) => runs[index] as AskedRun),
    tx,
  );
  for (const [position, index] of refused.entries())
    answers[index] = holders[position] ?? answers[index];
}
