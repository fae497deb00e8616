import { reply } from '../../../platform/http/define-api.ts';
import { bind } from '../../access/index.ts';
import { actorOf } from '../../audit/index.ts';
import * as api from './contract.ts';
import type { Canaries } from './service.ts';

export const canaryRoutes = ({ canaries }: { readonly canaries: Canaries }) => [
  bind(api.createCanary, async (context, { body }) =>
    reply(201, await canaries.create(context.project, actorOf(context), body)),
  ),
  bind(api.getCanary, ({ project }, { params }) => canaries.get(project, params.workflowID)),
  bind(api.updateCanary, (context, { params, body }) =>
    canaries.update(context.project, actorOf(context), params.workflowID, body),
  ),
  bind(api.rollBackCanary, (context, { params }) =>
    canaries.rollBack(context.project, actorOf(context), params.workflowID),
  ),
];
