// Rows as the API shows them. Steps are in steps.ts.
import type { z } from 'zod';
import type { DeepReadonly } from '../../../platform/http/define-api.ts';
import type { Workflow, WorkflowVersion, WorkflowWithSteps } from './schemas.ts';
import { stepView, type StepRow } from './steps.ts';
import type { FindVersionRow, FindWorkflowRow } from './store.sql.ts';

// What was saved has passed the rules: the enumerations hold.
export const workflowView = (row: FindWorkflowRow) => row as DeepReadonly<z.input<typeof Workflow>>;

export const versionView = (row: FindVersionRow) =>
  row as DeepReadonly<z.input<typeof WorkflowVersion>>;

export const withSteps = (
  row: FindWorkflowRow,
  steps: readonly StepRow[],
): DeepReadonly<z.input<typeof WorkflowWithSteps>> => ({
  ...workflowView(row),
  steps: steps.map((step) => stepView(step, row.id)),
});
