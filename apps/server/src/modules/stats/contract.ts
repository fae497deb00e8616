// How deep the queue is: made to be polled, by autoscalers and dashboards.

import { z } from 'zod';
import { operation } from '../access/index.ts';

const depth = {
  ready: z.int().meta({ description: 'May start as soon as a worker has room' }),
  waiting: z.int().meta({ description: 'Held back by a limit or a pause' }),
  delayed: z.int().meta({ description: 'Scheduled for later, or in retry back-off' }),
  running: z.int(),
  oldest_ready_at: z.iso
    .datetime()
    .optional()
    .meta({ description: 'Since when the oldest run that is due has waited' }),
};

export const JobDepth = z
  .object({ job_id: z.string(), slug: z.string(), ...depth })
  .meta({ id: 'JobDepth' });

export const QueueDepth = z
  .object({
    ...depth,
    paused: z.boolean().meta({ description: 'The queue of the project is paused' }),
    jobs: z.array(JobDepth).meta({ description: 'The hundred deepest' }),
  })
  .meta({ id: 'QueueDepth' });

export const JobQueueDepth = z
  .object({
    ...depth,
    keys: z
      .array(z.object({ concurrency_key: z.string(), in_flight: z.int(), waiting: z.int() }))
      .meta({
        description:
          'Keys in use of a job that limits them, the hundred busiest; waiting is counted to 100',
      }),
  })
  .meta({ id: 'JobQueueDepth' });

const shared = {
  method: 'GET',
  tags: ['Stats'],
  permission: 'stats:read',
  description:
    'Counted every two seconds, less often on a huge backlog; asking costs next to nothing.',
} as const;

export const getQueueDepth = operation({
  ...shared,
  id: 'getV1StatsQueue',
  sdk: 'stats.getQueue',
  path: '/v1/stats/queue',
  summary: 'How deep the queue of the project is, by job',
  query: z.object({ project_id: z.string().optional() }),
  replies: { 200: QueueDepth },
  failures: [],
});

export const getJobQueueDepth = operation({
  ...shared,
  id: 'getV1JobsByJobIDQueue',
  sdk: 'jobs.getQueue',
  path: '/v1/jobs/:jobID/queue',
  summary: 'How deep the queue of a job is, by key',
  params: z.object({ jobID: z.string() }),
  replies: { 200: JobQueueDepth },
  failures: ['job_not_found'],
});
