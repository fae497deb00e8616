import { bind } from '../../access/index.ts';
import { actorOf } from '../../audit/index.ts';
import * as api from './contract.ts';
import type { KeyLimits } from './service.ts';

export const keyLimitRoutes = (keys: KeyLimits) => [
  bind(api.listKeyLimits, ({ project }, { params }) => keys.list(project, params.jobID)),
  bind(api.putKeyLimit, (context, { params, body }) =>
    keys.set(context.project, actorOf(context), params, body),
  ),
  bind(api.deleteKeyLimit, (context, { params }) =>
    keys.remove(context.project, actorOf(context), params),
  ),
];
