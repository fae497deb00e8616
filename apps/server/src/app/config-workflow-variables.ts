// Settings about workflows: part of config-variables.ts.
import { choice, duration, integer } from '../platform/config-reader.ts';

export const workflowVariables = {
  step_cap: integer('WF_MAX_STEP_CAP', {
    default: 0,
    min: 0,
    max: 1000,
    description: 'Steps a workflow may have; 0 is only the limit of 1000.',
  }),
  step_concurrency: integer('WF_STEP_CONCURRENCY_LIMIT', {
    default: 0,
    min: 0,
    max: 1000,
    description: 'Steps of one workflow run that may run at a time; 0 is no limit but its own.',
  }),
  small_steps: integer('WF_SMALL_STEPS', {
    default: 50,
    min: 1,
    max: 1000,
    description: 'Steps of resource class small that may run at a time in one workflow run.',
  }),
  medium_steps: integer('WF_MEDIUM_STEPS', {
    default: 20,
    min: 1,
    max: 1000,
    description: 'The same for resource class medium.',
  }),
  large_steps: integer('WF_LARGE_STEPS', {
    default: 5,
    min: 1,
    max: 1000,
    description: 'The same for resource class large.',
  }),
  max_nesting_depth: integer('MAX_WORKFLOW_NESTING_DEPTH', {
    default: 10,
    min: 1,
    max: 100,
    description: 'Workflow runs below one another, where a step does not say less or more.',
  }),
  stall_action: choice('WF_STALL_ACTION', ['log_only', 'reconcile', 'fail_workflow'], {
    default: 'reconcile',
    description:
      'What becomes of a workflow run in which nothing runs, waits or is due: it is only counted and logged, looked at again, or fails.',
  }),
  stall_threshold_secs: duration('WF_STALL_THRESHOLD', 'secs', {
    default: '15m',
    min: '1m',
    max: '30d',
    description: 'How long nothing must have happened in such a run.',
  }),
  retention_secs: duration('WORKFLOW_RETENTION', 'secs', {
    default: '30d',
    min: '1h',
    max: '3650d',
    description: 'How long workflow runs are kept after they ended, with everything under them.',
  }),
  max_continuations: integer('WF_MAX_CONTINUATIONS', {
    default: 1000,
    min: 1,
    max: 1_000_000,
    description: 'Runs that may continue as new one after the other.',
  }),
};
