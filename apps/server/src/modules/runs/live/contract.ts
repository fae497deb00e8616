// Watching one run.

import { z } from 'zod';
import { operation } from '../../access/index.ts';
import { omitEmpty } from '../../../platform/http/json-reply.ts';
import { RunStatus } from '../views.ts';

const params = z.object({ runID: z.string() });
const shared = {
  method: 'GET',
  tags: ['Runs'],
  permission: 'runs:read',
  params,
  stream: true,
} as const;

export const RunStatusChangeEvent = z
  .object({
    type: z.literal('status_change'),
    run_id: z.string(),
    job_id: omitEmpty(z.string()),
    project_id: omitEmpty(z.string()),
    from: RunStatus,
    to: RunStatus,
    error: omitEmpty(z.string()),
    timestamp: z.string(),
  })
  .meta({ id: 'RunStatusChangeEvent' });

export const RunLogStreamEvent = z
  .object({
    type: z.literal('event'),
    event_type: z.string(),
    run_id: z.string(),
    level: z.string(),
    message: z.string(),
    data: z.unknown(),
    timestamp: z.string(),
  })
  .meta({ id: 'RunLogStreamEvent' });

export const StreamChunkEvent = z
  .object({
    type: z.literal('stream_chunk'),
    chunk: z.string(),
    stream_id: z.string(),
    done: z.boolean(),
    timestamp: z.string(),
  })
  .meta({ id: 'StreamChunkEvent' });
export type StreamChunkEvent = z.input<typeof StreamChunkEvent>;

export const streamRun = operation({
  ...shared,
  id: 'getV1RunsByRunIDStream',
  sdk: 'runs.getStreamByRunId',
  path: '/v1/runs/:runID/stream',
  summary: "Stream a run's state changes and events until it ends",
  description:
    'Begins with the newest state change, or after the event named by `Last-Event-ID` (`0` = with the first). ' +
    'A run that has ended is only replayed: without `Last-Event-ID` the answer is 410. ' +
    'Before its first state a run has none: there `from` repeats `to`.',
  headers: z.object({ 'last-event-id': z.string().max(64).optional() }),
  replies: { 200: z.union([RunStatusChangeEvent, RunLogStreamEvent]) },
  failures: ['run_not_found', 'run_stream_ended', 'too_many_streams'],
});

export const streamChunks = operation({
  ...shared,
  id: 'getV1RunsByRunIDStreamChunks',
  sdk: 'runs.listChunks',
  path: '/v1/runs/:runID/stream/chunks',
  summary: 'Stream the chunks a run sends, from now on and until it ends',
  replies: { 200: StreamChunkEvent },
  failures: ['run_not_found', 'run_stream_ended', 'too_many_streams'],
});
