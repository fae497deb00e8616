// Looking at a workflow's schedule.
import { z } from 'zod';
import { operation } from '../../access/index.ts';
import { omitEmpty } from '../../../platform/http/json-reply.ts';
import { fireCount } from '../contract.ts';

const time = z.string().meta({ format: 'date-time' });

const WorkflowScheduleFire = z
  .object({
    fire_at: time,
    outcome: z.enum(['created', 'skipped', 'missed', 'refused']).meta({
      description:
        'created: made `workflow_run_id`; skipped: a run was active already, or as many as there may be; missed: no ' +
        'scheduler was there in time; refused: the workflow could not start. `reason` says more.',
    }),
    workflow_run_id: omitEmpty(z.string()),
    reason: omitEmpty(z.string()),
  })
  .meta({ id: 'WorkflowScheduleFire' });

export const WorkflowSchedule = z
  .object({
    workflow_id: z.string(),
    cron: z.string(),
    timezone: z.string(),
    skip_if_running: z.boolean(),
    status: z.enum(['active', 'disabled', 'invalid']).meta({
      description:
        'disabled: the workflow is. invalid: `problem` says why nothing fires; saving another expression mends it.',
    }),
    problem: omitEmpty(z.string()),
    next_fire_at: omitEmpty(time),
    last_fire_at: omitEmpty(time).meta({ description: 'The last instant that had a run.' }),
    last_run_id: omitEmpty(z.string()),
    next_fires: z
      .array(time)
      .meta({ description: 'What comes next; of a disabled workflow, what would.' }),
    recent_fires: z
      .array(WorkflowScheduleFire)
      .meta({ description: 'The last 10 instants, newest first; kept for 7 days.' }),
  })
  .meta({ id: 'WorkflowSchedule' });

export const getWorkflowSchedule = operation({
  id: 'getV1WorkflowsByWorkflowIDSchedule',
  sdk: 'workflows.getSchedule',
  method: 'GET',
  path: '/v1/workflows/:workflowID/schedule',
  summary: 'When a workflow runs by itself: its next fires, and what became of the last ones',
  tags: ['Workflows'],
  permission: 'workflows:read',
  params: z.object({
    workflowID: z.string().min(1).max(256).meta({ description: 'id or slug of the workflow' }),
  }),
  query: z.object({ count: fireCount }),
  replies: { 200: WorkflowSchedule },
  failures: ['workflow_not_found', 'workflow_schedule_not_found'],
});
