// Reading runs and what hangs off them.

import { z } from 'zod';
import { operation } from '../../access/index.ts';
import { ascendingPageQuery, pageQuery } from '../../../platform/http/pagination.ts';
import {
  EventLevel,
  EventType,
  JobRun,
  JobRunPage,
  RunCheckpoint,
  RunCheckpointPage,
  RunEvent,
  RunEventPage,
  RunOutput,
  RunOutputPage,
  RunState,
  RunToolCall,
  RunToolCallPage,
  RunUsage,
  RunUsagePage,
} from '../views.ts';
import { RunListQuery } from './query.ts';

const params = z.object({ runID: z.string() });
const project_id = z.string().optional();
const shared = { method: 'GET', tags: ['Runs'], permission: 'runs:read' } as const;
const ofRun = { ...shared, params, failures: ['run_not_found'] } as const;
const newestFirst = z.object(pageQuery);
const oldestFirst = z.object(ascendingPageQuery);

export const listRuns = operation({
  ...shared,
  id: 'getV1Runs',
  sdk: 'runs.list',
  path: '/v1/runs',
  summary: 'List runs, newest first',
  query: RunListQuery,
  replies: { 200: JobRunPage },
  failures: [],
});

export const listDeadLetters = operation({
  ...shared,
  id: 'getV1RunsDlq',
  sdk: 'runs.getDlq',
  path: '/v1/runs/dlq',
  summary: 'List dead-lettered runs, newest first',
  query: z.object({ ...pageQuery, project_id, job_id: z.string().max(1024).optional() }),
  replies: { 200: JobRunPage },
  failures: [],
});

export const getRun = operation({
  ...ofRun,
  id: 'getV1RunsByRunID',
  sdk: 'runs.get',
  path: '/v1/runs/:runID',
  summary: 'Read a run',
  replies: { 200: JobRun },
});

export const listRunChildren = operation({
  ...ofRun,
  id: 'getV1RunsByRunIDChildren',
  sdk: 'runs.getChildren',
  path: '/v1/runs/:runID/children',
  summary: 'List the runs this one spawned, oldest first',
  query: oldestFirst,
  replies: { 200: JobRunPage },
});

export const listRunEvents = operation({
  ...ofRun,
  id: 'getV1RunsByRunIDEvents',
  sdk: 'runs.listEventsByRunId',
  path: '/v1/runs/:runID/events',
  summary: "List a run's events, oldest first",
  query: z.object({
    ...ascendingPageQuery,
    level: EventLevel.optional(),
    type: EventType.optional(),
  }),
  replies: { 200: RunEventPage },
});

export const listRunCheckpoints = operation({
  ...ofRun,
  id: 'getV1RunsByRunIDCheckpoints',
  sdk: 'runs.listCheckpoints',
  path: '/v1/runs/:runID/checkpoints',
  summary: "List a run's checkpoints, newest first",
  query: newestFirst,
  replies: { 200: RunCheckpointPage },
});

export const listRunUsage = operation({
  ...ofRun,
  id: 'getV1RunsByRunIDUsage',
  sdk: 'runs.getUsage',
  path: '/v1/runs/:runID/usage',
  summary: 'List the model usage a run reported, newest first',
  query: newestFirst,
  replies: { 200: RunUsagePage },
});

export const listRunToolCalls = operation({
  ...ofRun,
  id: 'getV1RunsByRunIDToolCalls',
  sdk: 'runs.listToolCalls',
  path: '/v1/runs/:runID/tool-calls',
  summary: 'List the tool calls a run reported, newest first',
  query: newestFirst,
  replies: { 200: RunToolCallPage },
});

export const listRunOutputs = operation({
  ...ofRun,
  id: 'getV1RunsByRunIDOutputs',
  sdk: 'runs.listOutputs',
  path: '/v1/runs/:runID/outputs',
  summary: "List a run's outputs by key",
  query: oldestFirst,
  replies: { 200: RunOutputPage },
});

export const listRunLineage = operation({
  ...ofRun,
  id: 'getV1RunsByRunIDLineage',
  sdk: 'runs.getLineage',
  path: '/v1/runs/:runID/lineage',
  summary: 'List the runs this one continues and those that continue it, first one first',
  query: oldestFirst,
  replies: { 200: JobRunPage },
});

export const listRunState = operation({
  ...ofRun,
  id: 'getV1RunsByRunIDState',
  sdk: 'runs.getState',
  path: '/v1/runs/:runID/state',
  summary: "List a run's state by key",
  replies: { 200: z.array(RunState) },
});

export const DebugBundle = z
  .object({
    run: JobRun,
    events: z.array(RunEvent),
    checkpoints: z.array(RunCheckpoint),
    usage: z.array(RunUsage),
    tool_calls: z.array(RunToolCall),
    outputs: z.array(RunOutput),
    truncated: z
      .boolean()
      .meta({ description: 'There is more than fits; the lists of the run have all of it' }),
  })
  .meta({ id: 'DebugBundle' });
export type DebugBundle = z.input<typeof DebugBundle>;

export const getDebugBundle = operation({
  ...ofRun,
  id: 'getV1RunsByRunIDDebugBundle',
  sdk: 'runs.getDebugBundle',
  path: '/v1/runs/:runID/debug-bundle',
  summary: 'Read a run with all that hangs off it',
  replies: { 200: DebugBundle },
});

export const getStats = operation({
  id: 'getV1Stats',
  sdk: 'stats.list',
  method: 'GET',
  path: '/v1/stats',
  summary: 'Count the live runs of the project',
  description: 'Each figure stops at 100,000.',
  tags: ['Stats'],
  permission: 'stats:read',
  query: z.object({ project_id }),
  replies: {
    200: z
      .object({ queued: z.int(), executing: z.int(), delayed: z.int(), waiting: z.int() })
      .meta({ id: 'QueueStats' }),
  },
  failures: [],
});
