import { z } from 'zod';
import { operation } from '../../domain/api.ts';
import { isTimeZone } from '../../domain/time-zone.ts';
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

const most = (maximum: number) => z.int().min(0).max(maximum).nullable().optional();
const MICROUSD = 1_000_000_000_000_000;
const quotaFields = {
  max_queued_runs: most(100_000_000).describe('Runs that wait to start (queued, delayed, held)'),
  max_executing_runs: most(1_000_000).describe('Runs in flight; more of them wait'),
  max_jobs: most(1_000_000),
  max_active_event_triggers: most(100_000_000).describe('Runs that wait for an event'),
  event_buffer_secs: most(604_800).describe(
    'How long events are kept that nobody waits for yet; null or 0 is not at all',
  ),
  max_cost_per_run_microusd: most(MICROUSD),
  max_daily_cost_microusd: most(MICROUSD),
  rate_limit_requests: most(10_000_000).describe('Requests of keys without a limit of their own'),
  rate_limit_window_secs: most(86_400),
  timezone: z
    .string()
    .refine((zone) => zone === '' || isTimeZone(zone), 'is not the name of an IANA time zone')
    .nullable()
    .optional()
    .describe('Where days begin, and of execution windows of jobs without a zone; default UTC'),
};

export const ProjectQuotas = z
  .object({
    project_id: z.string(),
    max_queued_runs: z.int().nullable(),
    max_executing_runs: z.int().nullable(),
    max_jobs: z.int().nullable(),
    max_active_event_triggers: z.int().nullable(),
    event_buffer_secs: z.int().nullable(),
    max_cost_per_run_microusd: z.int().nullable(),
    max_daily_cost_microusd: z.int().nullable(),
    rate_limit_requests: z.int().nullable(),
    rate_limit_window_secs: z.int().nullable(),
    timezone: z.string().nullable(),
    updated_at: omitEmpty(z.iso.datetime()),
  })
  .meta({ id: 'ProjectQuotas' });

const PutProjectQuotasRequest = z.strictObject(quotaFields).meta({ id: 'PutProjectQuotasRequest' });
export type QuotaInput = z.output<typeof PutProjectQuotasRequest>;

export const getProjectQuotas = operation({
  id: 'getV1ProjectsByProjectIDQuotas',
  sdk: 'projects.getQuotas',
  method: 'GET',
  path: '/v1/projects/:projectID/quotas',
  summary: 'What a project may use; null is no limit',
  tags,
  permission: 'jobs:read',
  project: 'none',
  params: z.object({ projectID: z.string() }),
  replies: { 200: ProjectQuotas },
  failures: ['project_not_found'],
});

export const putProjectQuotas = operation({
  id: 'putV1ProjectsByProjectIDQuotas',
  sdk: 'projects.putQuotas',
  method: 'PUT',
  path: '/v1/projects/:projectID/quotas',
  summary: 'Set what a project may use',
  description:
    'Replaces all of them: what is left out, null or 0 is no limit. Counts from the commit on, for what is queued and ' +
    'what runs; attempts that run already finish.',
  tags,
  permission: 'projects:manage',
  project: 'none',
  params: z.object({ projectID: z.string() }),
  body: PutProjectQuotasRequest,
  replies: { 200: ProjectQuotas },
  failures: ['project_not_found'],
});
