import { z } from 'zod';
import { operation } from '../../domain/api.ts';
import { omitEmpty } from '../../platform/http/json-reply.ts';
import { pageQuery, pageSchema } from '../../platform/http/pagination.ts';

export const Project = z
  .object({
    id: z.string(),
    org_id: omitEmpty(z.string()),
    name: omitEmpty(z.string()),
    created_at: z.iso.datetime(),
  })
  .meta({ id: 'Project' });

/** Opaque, but printable and without spaces: it travels in headers. */
const projectId = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, 'must be 1–255 visible ASCII characters');

const CreateProjectRequest = z
  .strictObject({
    id: projectId.optional(),
    org_id: z.string().min(1).max(255).optional(),
    name: z.string().min(2).max(255),
  })
  .meta({ id: 'CreateProjectRequest' });

const tags = ['Projects'] as const;

export const createProject = operation({
  id: 'postV1Projects',
  sdk: 'projects.create',
  method: 'POST',
  path: '/v1/projects',
  summary: 'Register a project',
  description: 'The project `default` is always there.',
  tags,
  permission: 'projects:manage',
  project: 'none',
  body: CreateProjectRequest,
  replies: { 201: Project },
  failures: ['project_exists'],
});

export const listProjects = operation({
  id: 'getV1Projects',
  sdk: 'projects.list',
  method: 'GET',
  path: '/v1/projects',
  summary: 'The projects the caller may see, newest first',
  tags,
  permission: 'authenticated',
  project: 'none',
  query: z.object(pageQuery),
  replies: { 200: pageSchema('ProjectPage', Project) },
  failures: [],
});

export const getProject = operation({
  id: 'getV1ProjectsByProjectID',
  sdk: 'projects.get',
  method: 'GET',
  path: '/v1/projects/:projectID',
  summary: 'One project',
  tags,
  permission: 'authenticated',
  project: 'none',
  params: z.object({ projectID: z.string() }),
  replies: { 200: Project },
  failures: ['project_not_found'],
});
