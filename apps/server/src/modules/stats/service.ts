// Counting, and reading what was counted.

import type { Database } from '../../platform/db/database.ts';
import { Failure } from '../../platform/failure.ts';
import { loop, type Loop, type LoopDeps } from '../../platform/services/loop.ts';
import type { ProjectScope } from '../access/index.ts';
import { queuePause } from '../projects/index.ts';
import * as store from './store.sql.ts';

export type Stats = ReturnType<typeof createStats>;

const LISTED = 100;
const EVERY_MS = 2_000;
/** A count of a huge backlog takes long; it then rests this many times as long. */
const REST = 20;

const NOTHING = { ready: 0, waiting: 0, delayed: 0, running: 0 };

export function createStats({
  db,
  findJob,
}: {
  db: Database;
  /** modules/jobs. */
  findJob: (project_id: string, id_or_slug: string) => Promise<{ readonly id: string } | undefined>;
}) {
  return {
    recount: async (): Promise<void> => void (await store.recountDepths(db)),
    total: () => store.totalDepth(db),

    project: (project: ProjectScope) =>
      db.tenant(project.project_id, async (tx) => ({
        ...present(await store.projectDepth(tx, project)),
        paused: await queuePause.get(tx, project),
        jobs: (await store.listJobDepths(tx, { ...project, job: null, limit: LISTED })).map(
          present,
        ),
      })),

    /** @throws job_not_found */
    job: async (project: ProjectScope, id_or_slug: string) => {
      const job = await findJob(project.project_id, id_or_slug);
      if (!job) throw new Failure('job_not_found');
      return db.tenant(project.project_id, async (tx) => {
        const [depth] = await store.listJobDepths(tx, { ...project, job: job.id, limit: 1 });
        const keys = await store.listKeyDepths(tx, { ...project, job_id: job.id, limit: LISTED });
        const {
          job_id: _id,
          slug: _slug,
          ...counts
        } = depth ?? { ...NOTHING, job_id: '', slug: '', oldest_ready_at: null };
        return { ...present(counts), keys };
      });
    },
  };
}

const present = <Row extends { readonly oldest_ready_at: string | null }>(row: Row) => ({
  ...row,
  oldest_ready_at: row.oldest_ready_at ?? undefined,
});

export const statsLoops = ({ stats, ...shared }: LoopDeps & { readonly stats: Stats }): Loop[] => [
  loop({
    ...shared,
    name: 'count queue depths',
    every_ms: EVERY_MS,
    rest_ms: (took_ms) => took_ms * REST,
    run: stats.recount,
  }),
];
