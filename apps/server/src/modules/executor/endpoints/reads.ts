// What is known of the endpoints of a job, for people.
import type { Database } from '../../../platform/db/database.ts';
import { bind, type ProjectScope } from '../../access/index.ts';
import type { Jobs } from '../../jobs/index.ts';
import * as api from './contract.ts';
import { levelOf } from './rules.ts';
import * as store from './store.sql.ts';

export type EndpointReads = ReturnType<typeof createEndpointReads>;

export function createEndpointReads({ db, jobs }: { db: Database; jobs: Pick<Jobs, 'get'> }) {
  return {
    async ofJob(project: ProjectScope, job: string) {
      const { id: job_id } = await jobs.get(project, job);
      const rows = await db.tenant(project.project_id, (tx) =>
        store.listEndpointsOfJob(tx, { ...project, job_id }),
      );
      return { job_id, endpoints: rows.map(viewOf) };
    },
  };
}

const viewOf = (row: store.ListEndpointsOfJobRow) => ({
  role: row.role as 'primary' | 'fallback',
  endpoint: row.endpoint,
  admission: {
    state: row.closed
      ? ('closed' as const)
      : row.share < 1 || row.max_in_flight !== null
        ? ('throttled' as const)
        : ('open' as const),
    concurrency_share: row.share,
    max_in_flight: row.max_in_flight,
    next_probe_at: row.closed ? row.probe_at : null,
    probe_run_id: row.probe_run_id,
  },
  breaker: {
    state: row.breaker as 'closed' | 'open' | 'half_open',
    consecutive_failures: row.failures,
    opened_at: row.opened_at,
    reopens_at: row.reopens_at,
    last_failure_at: row.last_failure_at,
  },
  health: {
    level: levelOf(row.score),
    score: row.score,
    success_rate: row.success_rate,
    failure_rate: row.timeout_rate,
    latency_score: row.latency_score,
    total_requests: row.total_requests,
    last_latency_ms: row.last_latency_ms,
    updated_at: row.updated_at,
  },
});

export const endpointRoutes = (endpoints: EndpointReads) => [
  bind(api.getJobEndpointHealth, ({ project }, { params }) =>
    endpoints.ofJob(project, params.jobID),
  ),
];
