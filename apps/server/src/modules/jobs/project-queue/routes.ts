import { bind } from '../../access/index.ts';
import { actorOf } from '../../audit/index.ts';
import * as api from './contract.ts';
import type { ProjectQueue } from './service.ts';

export const projectQueueRoutes = (queue: ProjectQueue) => [
  bind(api.pauseQueue, async (context) => {
    await queue.setPaused(context.project, actorOf(context), true);
    return { status: 'paused' as const };
  }),
  bind(api.resumeQueue, async (context) => {
    await queue.setPaused(context.project, actorOf(context), false);
    return { status: 'resumed' as const };
  }),
];
