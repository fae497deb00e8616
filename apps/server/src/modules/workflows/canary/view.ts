// A canary as the API shows it.
import type { z } from 'zod';
import type { DeepReadonly } from '../../../platform/http/define-api.ts';
import type { CanaryDeployment } from './contract.ts';
import { failureRate, type AutoPromote, type Measured } from './rules.ts';
import type { FindCanaryRow } from './store.sql.ts';

export type CanaryRow = FindCanaryRow;
export type CanaryView = DeepReadonly<z.input<typeof CanaryDeployment>>;

const shown = (measured: Measured) => ({
  ended: measured.ended,
  failed: measured.failed,
  failure_rate: failureRate(measured),
  latency_p99_secs: measured.latency_p99_secs,
});

export function canaryView(
  row: CanaryRow,
  measured: { readonly source: Measured; readonly target: Measured },
): CanaryView {
  const { project_id: _, auto_promote, share_since: since, due_at, ...rest } = row;
  const auto = auto_promote as AutoPromote;
  return {
    ...rest,
    status: row.status as CanaryView['status'],
    ...(auto.steps.length > 0 && {
      auto_promote: {
        enabled: auto.enabled,
        steps: auto.steps,
        interval: auto.interval_secs,
        failure_rate_threshold: auto.failure_rate_threshold,
        latency_p99_threshold: auto.latency_p99_threshold_secs,
      },
    }),
    measured: { since, source: shown(measured.source), target: shown(measured.target) },
    next_check_at: due_at,
  };
}
