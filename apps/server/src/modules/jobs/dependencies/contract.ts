// Dependencies between jobs.
import { z } from 'zod';
import { operation } from '../../access/index.ts';
import { pageQuery, pageSchema } from '../../../platform/http/pagination.ts';

const Condition = z.enum(['completed', 'failed', 'any']).meta({ id: 'DependencyCondition' });

export const JobDependency = z
  .object({
    id: z.string(),
    job_id: z.string(),
    depends_on_job_id: z.string(),
    condition: Condition,
    created_at: z.string().meta({ format: 'date-time' }),
  })
  .meta({ id: 'JobDependency' });

const tags = ['Jobs'] as const;
const params = z.object({
  jobID: z.string().min(1).max(256).meta({ description: 'id or slug of the job' }),
});

export const createDependency = operation({
  id: 'postV1JobsByJobIDDependencies',
  sdk: 'jobs.dependencies',
  method: 'POST',
  path: '/v1/jobs/:jobID/dependencies',
  summary: 'Let runs of a job wait until another job ended',
  description:
    'A run waits unless the newest ended run of the other job that belongs to it ended as `condition` says: the one with ' +
    'the same idempotency key, else with the same `dependency_key` in its metadata, else any. Without a time to live it ' +
    'expires after 24 hours.',
  tags,
  permission: 'jobs:write',
  params,
  body: z
    .strictObject({
      depends_on_job_id: z.string().min(1).max(256).meta({ description: 'id or slug' }),
      condition: Condition.default('completed'),
    })
    .meta({ id: 'CreateJobDependencyRequest' }),
  replies: { 201: JobDependency },
  failures: ['job_not_found', 'invalid_job', 'dependency_cycle', 'dependency_exists'],
});

export const listDependencies = operation({
  id: 'getV1JobsByJobIDDependencies',
  sdk: 'jobs.listDependencies',
  method: 'GET',
  path: '/v1/jobs/:jobID/dependencies',
  summary: 'What runs of a job wait for, newest first',
  tags,
  permission: 'jobs:read',
  params,
  query: z.object(pageQuery),
  replies: { 200: pageSchema('JobDependencyPage', JobDependency) },
  failures: ['job_not_found'],
});

export const deleteDependency = operation({
  id: 'deleteV1JobsByJobIDDependenciesByDepID',
  sdk: 'jobs.deleteDependency',
  method: 'DELETE',
  path: '/v1/jobs/:jobID/dependencies/:depID',
  summary: 'Wait for that job no longer; runs that waited for nothing else start',
  tags,
  permission: 'jobs:write',
  params: params.extend({ depID: z.string().min(1).max(64) }),
  replies: { 204: null },
  failures: ['job_not_found', 'dependency_not_found'],
});
