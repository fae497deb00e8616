// The queue of a project as a whole: held, and let go.

import { z } from 'zod';
import { operation } from '../../access/index.ts';

const shared = {
  method: 'POST',
  tags: ['Projects'],
  permission: 'jobs:write',
  query: z.object({ project_id: z.string().optional() }),
  failures: [],
} as const;

export const pauseQueue = operation({
  ...shared,
  id: 'postV1QueuePause',
  sdk: 'queue.pause',
  path: '/v1/queue/pause',
  summary: 'Start no more runs of the project; triggers are accepted and held',
  description: 'Whether a job or group is paused itself is not touched. What executes goes on.',
  replies: { 200: z.object({ status: z.literal('paused') }) },
});

export const resumeQueue = operation({
  ...shared,
  id: 'postV1QueueResume',
  sdk: 'queue.resume',
  path: '/v1/queue/resume',
  summary: 'Start runs of the project again, those held meanwhile included',
  replies: { 200: z.object({ status: z.literal('resumed') }) },
});
