import { bind } from '../../domain/api.ts';
import { createProject, getProject, listProjects } from './contract.ts';
import type { Projects } from './service.ts';

export const projectRoutes = (projects: Projects) => [
  bind(createProject, (_context, { body }) => projects.create(body)),
  bind(listProjects, ({ caller }, { query }) => projects.list(caller, query)),
  bind(getProject, ({ caller }, { params }) => projects.get(caller, params.projectID)),
];
