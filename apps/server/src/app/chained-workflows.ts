// Workflows that follow the end of a job run: relations is not above workflows and gets this function.
import { textOf } from '../domain/failures.ts';
import { Failure } from '../platform/failure.ts';
import { projectScope } from '../modules/access/index.ts';
import type { StartWorkflow } from '../modules/relations/index.ts';
import type { WorkflowTriggers } from '../modules/workflows/index.ts';

/** Not to be mended by waiting. As many runs as there may be is: then the end comes again, later. */
const DROPPED: ReadonlySet<string> = new Set([
  'workflow_not_found',
  'workflow_version_not_found',
  'workflow_disabled',
  'workflow_policy_refused',
  'workflow_key_mismatch',
  'invalid_workflow',
  'payload_too_large',
]);

export const chainedWorkflows =
  (triggers: Pick<WorkflowTriggers, 'start'>): StartWorkflow =>
  async (tx, { project_id, workflow, ...input }) => {
    try {
      await triggers.start(tx, projectScope(project_id), workflow, input);
      return undefined;
    } catch (error) {
      // All of these are found before anything is written.
      if (error instanceof Failure && DROPPED.has(error.code)) return { dropped: textOf(error) };
      throw error;
    }
  };
