// The operations on jobs.
import { z } from 'zod';
import { operation } from '../access/index.ts';
import { pageQuery } from '../../platform/http/pagination.ts';
import {
  BatchCreateJobsFailed,
  BatchCreateJobsRequest,
  BatchCreateJobsResponse,
  BatchJobIDsRequest,
  BatchUpdateResult,
  CloneJobRequest,
  CreateJobRequest,
  HealthWindow,
  Job,
  JobHealthResponse,
  JobPage,
  JobVersion,
  JobVersionPage,
  UpdateJobRequest,
} from './schemas.ts';

const tags = ['Jobs'] as const;
const params = z.object({
  jobID: z.string().min(1).max(256).meta({ description: 'id or slug of the job' }),
});
const unacceptable = ['invalid_job', 'invalid_schema', 'invalid_url'] as const;

export const createJob = operation({
  id: 'postV1Jobs',
  sdk: 'jobs.create',
  method: 'POST',
  path: '/v1/jobs',
  summary: 'Create a job',
  tags,
  permission: 'jobs:write',
  rate_limit: { requests: 30, window_secs: 60 },
  body: CreateJobRequest,
  replies: { 201: Job },
  failures: [...unacceptable, 'job_slug_taken', 'job_limit_reached'],
});

export const listJobs = operation({
  id: 'getV1Jobs',
  sdk: 'jobs.list',
  method: 'GET',
  path: '/v1/jobs',
  summary: 'Jobs of the project, newest first',
  tags,
  permission: 'jobs:read',
  query: z
    .object({
      ...pageQuery,
      project_id: z.string().optional(),
      tag_key: z.string().max(64).optional(),
      tag_value: z.string().max(256).optional(),
      enabled: z.enum(['true', 'false']).optional(),
      group_id: z.string().max(256).optional(),
    })
    .refine(({ tag_key, tag_value }) => tag_value === undefined || tag_key !== undefined, {
      path: ['tag_value'],
      message: 'needs tag_key',
    }),
  replies: { 200: JobPage },
  failures: [],
});

export const createJobs = operation({
  id: 'postV1JobsBatch',
  sdk: 'jobs.batch',
  method: 'POST',
  path: '/v1/jobs/batch',
  summary: 'Create up to 50 jobs',
  description:
    'Every job is judged for itself. 201 when at least one was created, with the others under `errors`; ' +
    'a body that is a bare array is answered with the array of created jobs, errors in `X-Batch-Errors`.',
  tags,
  permission: 'jobs:write',
  rate_limit: { requests: 10, window_secs: 60 },
  body: BatchCreateJobsRequest,
  replies: { 201: z.union([BatchCreateJobsResponse, z.array(Job)]), 400: BatchCreateJobsFailed },
  failures: [...unacceptable, 'job_slug_taken', 'job_limit_reached'],
});

export const enableJobs = operation({
  id: 'postV1JobsBatchEnable',
  sdk: 'jobs.batchEnable',
  method: 'POST',
  path: '/v1/jobs/batch-enable',
  summary: 'Enable up to 50 jobs, by id or slug',
  description: 'No new version. Unknown jobs are not counted in `updated`.',
  tags,
  permission: 'jobs:write',
  body: BatchJobIDsRequest,
  replies: { 200: BatchUpdateResult },
  failures: [],
});

export const disableJobs = operation({
  id: 'postV1JobsBatchDisable',
  sdk: 'jobs.batchDisable',
  method: 'POST',
  path: '/v1/jobs/batch-disable',
  summary: 'Disable up to 50 jobs, by id or slug',
  description: 'No new version. Unknown jobs are not counted in `updated`.',
  tags,
  permission: 'jobs:write',
  body: BatchJobIDsRequest,
  replies: { 200: BatchUpdateResult },
  failures: [],
});

export const getJob = operation({
  id: 'getV1JobsByJobID',
  sdk: 'jobs.get',
  method: 'GET',
  path: '/v1/jobs/:jobID',
  summary: 'One job',
  tags,
  permission: 'jobs:read',
  params,
  replies: { 200: Job },
  failures: ['job_not_found'],
});

export const updateJob = operation({
  id: 'patchV1JobsByJobID',
  sdk: 'jobs.update',
  method: 'PATCH',
  path: '/v1/jobs/:jobID',
  summary: 'Change a job',
  description:
    'Absent members stay, null goes back to the default. Makes a new version and keeps the old one; ' +
    'with `version_id` only if that is still the current version.',
  tags,
  permission: 'jobs:write',
  params,
  body: UpdateJobRequest,
  replies: { 200: Job },
  failures: [...unacceptable, 'job_not_found', 'job_slug_taken', 'job_version_conflict'],
});

export const deleteJob = operation({
  id: 'deleteV1JobsByJobID',
  sdk: 'jobs.delete',
  method: 'DELETE',
  path: '/v1/jobs/:jobID',
  summary: 'Remove a job with its versions and its whole history',
  tags,
  permission: 'jobs:write',
  params,
  replies: { 204: null },
  failures: ['job_not_found', 'job_has_active_runs', 'job_in_use'],
});

export const cloneJob = operation({
  id: 'postV1JobsByJobIDClone',
  sdk: 'jobs.clone',
  method: 'POST',
  path: '/v1/jobs/:jobID/clone',
  summary: 'Copy a job, secrets included, under a new name and slug',
  tags,
  permission: 'jobs:write',
  params,
  body: CloneJobRequest,
  replies: { 201: Job },
  failures: [...unacceptable, 'job_not_found', 'job_slug_taken', 'job_limit_reached'],
});

export const pauseJob = operation({
  id: 'postV1JobsByJobIDPause',
  sdk: 'jobs.pause',
  method: 'POST',
  path: '/v1/jobs/:jobID/pause',
  summary: 'Start no more runs; triggers are accepted and held',
  tags,
  permission: 'jobs:write',
  params,
  replies: { 200: Job },
  failures: ['job_not_found'],
});

export const resumeJob = operation({
  id: 'postV1JobsByJobIDResume',
  sdk: 'jobs.resume',
  method: 'POST',
  path: '/v1/jobs/:jobID/resume',
  summary: 'Start runs again, those held meanwhile included',
  tags,
  permission: 'jobs:write',
  params,
  replies: { 200: Job },
  failures: ['job_not_found'],
});

export const listJobVersions = operation({
  id: 'getV1JobsByJobIDVersions',
  sdk: 'jobs.listVersions',
  method: 'GET',
  path: '/v1/jobs/:jobID/versions',
  summary: 'Earlier versions of a job, newest first',
  description: 'The job itself is the current version and not in the list.',
  tags,
  permission: 'jobs:read',
  params,
  query: z.object(pageQuery),
  replies: { 200: JobVersionPage },
  failures: ['job_not_found'],
});

export const getJobVersion = operation({
  id: 'getV1JobsByJobIDVersionsByVersionID',
  sdk: 'jobs.getVersion',
  method: 'GET',
  path: '/v1/jobs/:jobID/versions/:versionID',
  summary: 'One version of a job, the current one included',
  tags,
  permission: 'jobs:read',
  params: params.extend({
    versionID: z
      .string()
      .min(1)
      .max(64)
      .meta({ description: 'version_id, id or number of the version' }),
  }),
  replies: { 200: JobVersion },
  failures: ['job_not_found', 'job_version_not_found'],
});

export const getJobHealth = operation({
  id: 'getV1JobsByJobIDHealth',
  sdk: 'jobs.getHealth',
  method: 'GET',
  path: '/v1/jobs/:jobID/health',
  summary: 'How the runs of a job ended in a window',
  tags,
  permission: 'jobs:read',
  params,
  query: z.object({ window: HealthWindow }),
  replies: { 200: JobHealthResponse },
  failures: ['job_not_found'],
});
