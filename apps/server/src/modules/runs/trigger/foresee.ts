// What flow control would do with a trigger right now, for dry runs: takes no place, no token, no lock.

import type { Tx } from '../../../platform/db/database.ts';
import type { TriggerJob } from '../../jobs/index.ts';
import { jobRates } from '../../limits/index.ts';
import { intake } from '../../queue/index.ts';
import type { AskedRun, BufferKeys } from './admission.ts';

/** Warnings in the order of the checks; the first that refuses is what the caller would see. */
export async function foresee(
  tx: Tx,
  job: TriggerJob,
  run: AskedRun,
  { debounce_key, batch_key }: BufferKeys,
): Promise<string[]> {
  const { project_id, debounce_window_secs, batch_window_secs } = job;
  const window_secs = job.dedup_window_secs ?? 0;
  const warnings: string[] = [];
  if (job.queue_limited && !(await intake.wouldFit(tx, project_id, 1)))
    warnings.push('as many runs of the project wait as may: the trigger would be refused');
  const wait_secs = await jobRates.look(tx, job, 1);
  if (wait_secs > 0) {
    const seconds = Math.ceil(wait_secs);
    warnings.push(
      `the rate limit of the job allows the next run in ${seconds} s: the trigger would be refused`,
    );
  }
  if (window_secs > 0) {
    const { payload_hash, payload } = run;
    const query = {
      project_id,
      job_id: job.id,
      window_secs,
      payload_hashes: [payload_hash],
      payloads: [payload],
    };
    const twin = (await intake.lookAtPayloads(tx, query)).get(payload_hash);
    if (twin)
      warnings.push(
        `run ${twin.id} had the same payload less than ${window_secs} s ago: the trigger would answer with it`,
      );
  }
  if (debounce_window_secs > 0)
    warnings.push(
      `the job is debounced: a run is made ${debounce_window_secs} s after the last trigger of the key "${debounce_key}"`,
    );
  if (batch_window_secs > 0)
    warnings.push(`the job is batched: the payload becomes an item of the batch "${batch_key}"`);
  return warnings;
}
