// What a canary decides (workflow-semantics §24). Pure.

export interface Shares {
  readonly source_version: number;
  readonly target_version: number;
  readonly traffic_pct: number;
}

/** `drawn` is uniform in [0, 1). A run that belongs to one of the two already stays with it. */
export function versionFor(canary: Shares, drawn: number, kept: number | null): number {
  const { source_version, target_version, traffic_pct } = canary;
  if (kept === source_version || kept === target_version) return kept;
  return drawn * 100 < traffic_pct ? target_version : source_version;
}

export interface AutoPromote {
  readonly enabled: boolean;
  /** Shares in percent, ascending; after the last one comes all. */
  readonly steps: readonly number[];
  readonly interval_secs: number;
  /** Percent. */
  readonly failure_rate_threshold: number;
  /** Null: however long they take. */
  readonly latency_p99_threshold_secs: number | null;
}

export interface Measured {
  /** Runs that ended, canceled ones aside. */
  readonly ended: number;
  readonly failed: number;
  /** Of those that completed; null without any. */
  readonly latency_p99_secs: number | null;
}

export const failureRate = ({ ended, failed }: Measured): number =>
  ended === 0 ? 0 : (failed / ended) * 100;

export const LEAST_RUNS = 5;

export type Verdict =
  | { readonly kind: 'hold' }
  | { readonly kind: 'roll_back'; readonly reason: string }
  | { readonly kind: 'share'; readonly traffic_pct: number };

/** On runs of the target since the share was last changed. */
export function judge(traffic_pct: number, auto: AutoPromote, target: Measured): Verdict {
  // Nobody gets it yet, so there is nothing to wait for.
  if (traffic_pct > 0) {
    if (target.ended < LEAST_RUNS) return { kind: 'hold' };
    const rate = failureRate(target);
    if (rate > auto.failure_rate_threshold)
      return {
        kind: 'roll_back',
        reason: `${target.failed} of ${target.ended} runs failed, more than ${auto.failure_rate_threshold} %`,
      };
    const { latency_p99_secs: p99 } = target;
    const most = auto.latency_p99_threshold_secs;
    if (p99 !== null && most !== null && p99 > most)
      return {
        kind: 'roll_back',
        reason: `the slowest 1 % of runs took ${p99} s, more than ${most} s`,
      };
  }
  return { kind: 'share', traffic_pct: auto.steps.find((step) => step > traffic_pct) ?? 100 };
}
