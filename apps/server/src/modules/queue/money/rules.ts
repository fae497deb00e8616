// Which budget refuses a trigger.

/** `left` is null where there is no such budget or it lets runs wait; `demand` is what all waiting runs would reserve. */
export interface Demand {
  /** What one run of the job reserves; null: no budget concerns it. */
  readonly reserve: number | null;
  readonly key_left: number | null;
  readonly job_left: number | null;
  readonly project_left: number | null;
  readonly key_demand: number;
  readonly job_demand: number;
  readonly project_demand: number;
}

/**
 * The narrowest budget that cannot pay for all that waits and `more` runs of this job on top; undefined: all can. A run
 * that reserves nothing needs that something is left.
 */
export function refusingBudget(
  demand: Demand,
  more: number,
): 'key' | 'job' | 'project' | undefined {
  const { reserve } = demand;
  if (reserve === null) return undefined;
  const short = (left: number | null, waiting: number): boolean =>
    left !== null && (left <= 0 || waiting + more * reserve > left);
  if (short(demand.key_left, demand.key_demand)) return 'key';
  if (short(demand.job_left, demand.job_demand)) return 'job';
  return short(demand.project_left, demand.project_demand) ? 'project' : undefined;
}
