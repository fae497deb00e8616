import { bind } from '../../access/index.ts';
import { actorOf } from '../../audit/index.ts';
import * as api from './contract.ts';
import type { Groups } from './service.ts';

export const groupRoutes = (groups: Groups) => [
  bind(api.createGroup, (context, { body }) =>
    groups.create(context.project, actorOf(context), body),
  ),
  bind(api.listGroups, ({ project }, { query }) => groups.list(project, query)),
  bind(api.getGroup, ({ project }, { params }) => groups.get(project, params.groupID)),
  bind(api.updateGroup, (context, { params, body }) =>
    groups.update(context.project, actorOf(context), params.groupID, body),
  ),
  bind(api.deleteGroup, (context, { params }) =>
    groups.delete(context.project, actorOf(context), params.groupID),
  ),
  bind(api.listGroupJobs, ({ project }, { params, query }) =>
    groups.jobs(project, params.groupID, query),
  ),
  bind(api.pauseGroup, async (context, { params }) => {
    await groups.setPaused(context.project, actorOf(context), params.groupID, true);
    return { status: 'paused' as const };
  }),
  bind(api.resumeGroup, async (context, { params }) => {
    await groups.setPaused(context.project, actorOf(context), params.groupID, false);
    return { status: 'resumed' as const };
  }),
  bind(api.getGroupStats, ({ project }, { params }) => groups.stats(project, params.groupID)),
];
