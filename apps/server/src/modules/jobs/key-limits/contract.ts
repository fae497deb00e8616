// How the concurrency keys of a job share its slots: what each is guaranteed, how far it may burst, its weight.

import { z } from 'zod';
import { operation } from '../../access/index.ts';

const MOST_SLOTS = 1_000_000;

export const KeyLimit = z
  .object({
    concurrency_key: z.string().meta({ description: '`*`: every key without a row of its own' }),
    min_concurrency: z.int(),
    max_concurrency: z
      .int()
      .nullable()
      .meta({ description: 'null: `max_concurrency_per_key` of the job' }),
    weight: z.int(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: 'KeyLimit' });

export const KeyLimitList = z
  .object({ job_id: z.string(), data: z.array(KeyLimit) })
  .meta({ id: 'KeyLimitList' });

const tags = ['Jobs'] as const;
const params = z.object({
  jobID: z.string().min(1).max(256).meta({ description: 'id or slug of the job' }),
});
const keyParams = params.extend({
  concurrencyKey: z
    .string()
    .min(1)
    .max(512)
    .meta({ description: '`*`: every key without a row of its own' }),
});

export const listKeyLimits = operation({
  id: 'getV1JobsByJobIDConcurrencyKeys',
  sdk: 'jobs.listKeyLimits',
  method: 'GET',
  path: '/v1/jobs/:jobID/concurrency-keys',
  summary: 'What single concurrency keys of a job get, by key',
  tags,
  permission: 'jobs:read',
  params,
  replies: { 200: KeyLimitList },
  failures: ['job_not_found'],
});

export const putKeyLimit = operation({
  id: 'putV1JobsByJobIDConcurrencyKeysByConcurrencyKey',
  sdk: 'jobs.setKeyLimit',
  method: 'PUT',
  path: '/v1/jobs/:jobID/concurrency-keys/:concurrencyKey',
  summary: 'Set what one concurrency key of a job gets',
  description:
    'No new version: like every limit it is always the live one, and counts at once. From the first row on the keys of ' +
    'the job share its slots: each gets its minimum before anybody else, the rest goes by weight. Nothing is kept free ' +
    'for a key without waiting runs.',
  tags,
  permission: 'jobs:write',
  params: keyParams,
  body: z
    .strictObject({
      min_concurrency: z
        .int()
        .min(0)
        .max(MOST_SLOTS)
        .default(0)
        .meta({ description: 'Guaranteed; all of a job together at most its `max_concurrency`' }),
      max_concurrency: z
        .int()
        .min(0)
        .max(MOST_SLOTS)
        .nullish()
        .meta({ description: 'Absent, null or 0: `max_concurrency_per_key` of the job' }),
      weight: z.int().min(1).max(1000).default(1),
    })
    .meta({ id: 'KeyLimitRequest' }),
  replies: { 200: KeyLimit },
  failures: ['job_not_found', 'invalid_job'],
});

export const deleteKeyLimit = operation({
  id: 'deleteV1JobsByJobIDConcurrencyKeysByConcurrencyKey',
  sdk: 'jobs.deleteKeyLimit',
  method: 'DELETE',
  path: '/v1/jobs/:jobID/concurrency-keys/:concurrencyKey',
  summary: 'Treat a concurrency key like every other again',
  tags,
  permission: 'jobs:write',
  params: keyParams,
  replies: { 204: null },
  failures: ['job_not_found', 'key_limit_not_found'],
});
