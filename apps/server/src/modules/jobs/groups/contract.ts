// Groups of jobs.
import { z } from 'zod';
import { operation } from '../../access/index.ts';
import { omitEmpty } from '../../../platform/http/json-reply.ts';
import { pageQuery, pageSchema } from '../../../platform/http/pagination.ts';
import { JobPage } from '../schemas.ts';
import { isUuid } from '../../../domain/slug.ts';

const time = z.string().meta({ format: 'date-time' });
const name = z.string().min(1).max(255);
const slug = z
  .string()
  .min(1)
  .max(128)
  .refine((text) => !isUuid(text), 'must not look like an id');
const description = z.string().max(10_000);

export const JobGroup = z
  .object({
    id: z.string(),
    project_id: z.string(),
    name: z.string(),
    slug: z.string(),
    description: omitEmpty(z.string()),
    paused: z.boolean(),
    created_at: time,
    updated_at: time,
  })
  .meta({ id: 'JobGroup' });
export type JobGroup = z.input<typeof JobGroup>;

const JobGroupStats = z
  .object({
    group_id: z.string(),
    run_counts: z.record(z.string(), z.int()),
    truncated: z.boolean().meta({
      description: 'There are more runs or jobs than were counted: the newest of each job are',
    }),
  })
  .meta({ id: 'JobGroupStats' });

const tags = ['JobGroups'] as const;
const params = z.object({
  groupID: z.string().min(1).max(256).meta({ description: 'id or slug of the group' }),
});
const project_id = z.string().min(1).optional();
const read = { tags, permission: 'jobs:read', method: 'GET' } as const;
const write = { tags, permission: 'jobs:write' } as const;

export const createGroup = operation({
  ...write,
  id: 'postV1JobGroups',
  sdk: 'jobGroups.create',
  method: 'POST',
  path: '/v1/job-groups',
  summary: 'Create a group of jobs',
  body: z
    .strictObject({ project_id, name, slug, description: description.optional() })
    .meta({ id: 'CreateJobGroupRequest' }),
  replies: { 201: JobGroup },
  failures: ['job_group_slug_taken'],
});

export const listGroups = operation({
  ...read,
  id: 'getV1JobGroups',
  sdk: 'jobGroups.list',
  path: '/v1/job-groups',
  summary: 'Groups of the project, newest first',
  query: z.object({ ...pageQuery, project_id }),
  replies: { 200: pageSchema('JobGroupPage', JobGroup) },
  failures: [],
});

export const getGroup = operation({
  ...read,
  id: 'getV1JobGroupsByGroupID',
  sdk: 'jobGroups.get',
  path: '/v1/job-groups/:groupID',
  summary: 'One group of jobs',
  params,
  replies: { 200: JobGroup },
  failures: ['job_group_not_found'],
});

export const updateGroup = operation({
  ...write,
  id: 'patchV1JobGroupsByGroupID',
  sdk: 'jobGroups.update',
  method: 'PATCH',
  path: '/v1/job-groups/:groupID',
  summary: 'Rename a group or describe it',
  params,
  body: z
    .strictObject({
      name: name.optional(),
      slug: slug.optional(),
      description: description.optional(),
    })
    .meta({ id: 'UpdateJobGroupRequest' }),
  replies: { 200: JobGroup },
  failures: ['job_group_not_found', 'job_group_slug_taken'],
});

export const deleteGroup = operation({
  ...write,
  id: 'deleteV1JobGroupsByGroupID',
  sdk: 'jobGroups.delete',
  method: 'DELETE',
  path: '/v1/job-groups/:groupID',
  summary: 'Remove a group without jobs',
  params,
  replies: { 204: null },
  failures: ['job_group_not_found', 'job_group_not_empty'],
});

export const listGroupJobs = operation({
  ...read,
  id: 'getV1JobGroupsByGroupIDJobs',
  sdk: 'jobGroups.listJobsByGroupId',
  path: '/v1/job-groups/:groupID/jobs',
  summary: 'Jobs of a group, newest first',
  params,
  query: z.object(pageQuery),
  replies: { 200: JobPage },
  failures: ['job_group_not_found'],
});

export const pauseGroup = operation({
  ...write,
  id: 'postV1JobGroupsByGroupIDPauseAll',
  sdk: 'jobGroups.pauseAll',
  method: 'POST',
  path: '/v1/job-groups/:groupID/pause-all',
  summary: 'Start no more runs of the jobs of a group; triggers are accepted and held',
  description: 'Whether a job is paused or disabled itself is not touched. What executes goes on.',
  params,
  replies: { 200: z.object({ status: z.literal('paused') }) },
  failures: ['job_group_not_found'],
});

export const resumeGroup = operation({
  ...write,
  id: 'postV1JobGroupsByGroupIDResumeAll',
  sdk: 'jobGroups.resumeAll',
  method: 'POST',
  path: '/v1/job-groups/:groupID/resume-all',
  summary: 'Start runs again, those held meanwhile included',
  params,
  replies: { 200: z.object({ status: z.literal('resumed') }) },
  failures: ['job_group_not_found'],
});

export const getGroupStats = operation({
  ...read,
  id: 'getV1JobGroupsByGroupIDStats',
  sdk: 'jobGroups.getStatByGroupId',
  path: '/v1/job-groups/:groupID/stats',
  summary: 'Count the runs of a group by state',
  description: 'Looks at no more than 50,000 runs, the newest of each job.',
  params,
  replies: { 200: JobGroupStats },
  failures: ['job_group_not_found'],
});
