// Rows as the API shows them.
import type { z } from 'zod';
import type { Job, JobVersion } from './schemas.ts';
import type { DeepReadonly } from '../../platform/http/define-api.ts';
import type { FindJobRow, FindJobVersionRow } from './store.sql.ts';

export type JobView = DeepReadonly<z.input<typeof Job>>;
export type JobVersionView = DeepReadonly<z.input<typeof JobVersion>>;

/** Secrets stop here: the row must not go further than this. */
export function jobView(row: FindJobRow): JobView {
  const { endpoint_signing_secret_enc, webhook_secret, ...shown } = row;
  return {
    ...shown,
    has_endpoint_signing_secret: endpoint_signing_secret_enc !== null,
    has_webhook_secret: webhook_secret !== null,
    // Checks of the table say what the columns' types do not.
  } as JobView;
}

export const versionView = (row: FindJobVersionRow) => row as JobVersionView;

/** The current version in the shape of the kept ones. */
export function currentVersionView(row: FindJobRow): JobVersionView {
  const { paused: _paused, updated_at, ...shown } = jobView(row);
  return { ...shown, id: row.version_id ?? row.id, job_id: row.id, created_at: updated_at };
}
