// Pausing a whole project writes one flag that the queue reads wherever it decides about a start.

import type { Database } from '../../../platform/db/database.ts';
import type { ProjectScope } from '../../access/index.ts';
import { recordAudit, type AuditSource } from '../../audit/index.ts';
import { queuePause } from '../../projects/index.ts';
import { wakePromoter } from '../store.sql.ts';

export type ProjectQueue = ReturnType<typeof createProjectQueue>;

export const createProjectQueue = ({ db }: { readonly db: Database }) => ({
  /** Doing it again changes nothing. */
  setPaused: (project: ProjectScope, by: AuditSource, paused: boolean) =>
    db.tenant(project.project_id, async (tx): Promise<void> => {
      const { project_id } = project;
      if (!(await queuePause.set(tx, { project_id, paused }))) return;
      if (!paused) await wakePromoter(tx);
      await recordAudit(tx, project, by, {
        action: paused ? 'project.queue_paused' : 'project.queue_resumed',
        resource_type: 'project',
        resource_id: project_id,
      });
    }),
});
