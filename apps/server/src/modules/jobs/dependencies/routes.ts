import { bind } from '../../access/index.ts';
import { actorOf } from '../../audit/index.ts';
import * as api from './contract.ts';
import type { Dependencies } from './service.ts';

export const dependencyRoutes = (dependencies: Dependencies) => [
  bind(api.createDependency, (context, { params, body }) =>
    dependencies.create(context.project, actorOf(context), params.jobID, body),
  ),
  bind(api.listDependencies, ({ project }, { params, query }) =>
    dependencies.list(project, params.jobID, query),
  ),
  bind(api.deleteDependency, (context, { params }) =>
    dependencies.delete(context.project, actorOf(context), params.jobID, params.depID),
  ),
];
