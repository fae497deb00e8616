import { bind } from '../../domain/api.ts';
import { actorOf } from '../audit/index.ts';
import {
  createProject,
  getProject,
  getProjectQuotas,
  listProjects,
  putProjectQuotas,
} from './contract.ts';
import type { Projects } from './service.ts';

export const projectRoutes = (projects: Projects) => [
  bind(createProject, (_context, { body }) => projects.create(body)),
  bind(listProjects, ({ caller }, { query }) => projects.list(caller, query)),
  bind(getProject, ({ caller }, { params }) => projects.get(caller, params.projectID)),
  bind(getProjectQuotas, ({ caller }, { params }) => projects.getQuotas(caller, params.projectID)),
  bind(putProjectQuotas, (context, { params, body }) =>
    projects.putQuotas(context.caller, params.projectID, actorOf(context), body),
  ),
];
