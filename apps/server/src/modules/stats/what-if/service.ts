// Reads a window of what a job did and replays it through two sets of limits.

import type { Clock } from '../../../platform/clock.ts';
import type { Database } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import type { ProjectScope } from '../../access/index.ts';
import { simulate, type SimulatedLimits } from './rules.ts';
import * as store from './store.sql.ts';

export type WhatIf = ReturnType<typeof createWhatIf>;

const MOST_RUNS = 20_000;

interface LimitedJob extends SimulatedLimits {
  readonly id: string;
}

export function createWhatIf({
  db,
  clock,
  aging_ms,
  findJob,
}: {
  db: Database;
  clock: Clock;
  aging_ms: number;
  /** modules/jobs. */
  findJob: (project_id: string, id_or_slug: string) => Promise<LimitedJob | undefined>;
}) {
  return {
    /** @throws job_not_found */
    simulate: async (
      project: ProjectScope,
      id_or_slug: string,
      request: { readonly window_secs: number } & Partial<{
        [Limit in keyof SimulatedLimits]: number | null | undefined;
      }>,
    ) => {
      const job = await findJob(project.project_id, id_or_slug);
      if (!job) throw new Failure('job_not_found');
      const now = clock.now();
      const rows = await db.tenant(project.project_id, (tx) =>
        store.listArrivals(tx, {
          ...project,
          job_id: job.id,
          since: new Date(now - request.window_secs * 1000).toISOString(),
          until: new Date(now).toISOString(),
          limit: MOST_RUNS,
        }),
      );
      const current = {
        max_concurrency: job.max_concurrency || null,
        max_concurrency_per_key: job.max_concurrency_per_key || null,
      };
      const wanted = (limit: keyof SimulatedLimits): number | null =>
        request[limit] === undefined ? current[limit] : request[limit] || null;
      const proposed = {
        max_concurrency: wanted('max_concurrency'),
        max_concurrency_per_key: wanted('max_concurrency_per_key'),
      };
      return {
        current: simulate(rows, current, aging_ms),
        proposed: simulate(rows, proposed, aging_ms),
        truncated: rows.length === MOST_RUNS,
      };
    },
  };
}
