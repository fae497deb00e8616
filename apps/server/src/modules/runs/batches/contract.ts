// Bulk operations as resources.

import { z } from 'zod';
import { operation } from '../../access/index.ts';
import { omitEmpty } from '../../../platform/http/json-reply.ts';
import { pageQuery, pageSchema } from '../../../platform/http/pagination.ts';

const project_id = z.string().optional();

export const BatchOperation = z
  .object({
    id: z.string(),
    project_id: z.string(),
    job_id: z.string(),
    kind: z.string(),
    status: z.string(),
    item_count: z.int(),
    created_count: z.int(),
    created_by: omitEmpty(z.string()),
    created_at: z.string(),
    finished_at: omitEmpty(z.string()),
  })
  .meta({ id: 'BatchOperation' });
export type BatchOperation = z.input<typeof BatchOperation>;

export const listBatchOperations = operation({
  id: 'getV1BatchOperations',
  sdk: 'batchOperations.list',
  method: 'GET',
  path: '/v1/batch-operations',
  summary: 'List bulk operations, newest first',
  tags: ['BatchOperations'],
  permission: 'runs:read',
  query: z.object({ ...pageQuery, project_id }),
  replies: { 200: pageSchema('BatchOperationPage', BatchOperation) },
  failures: [],
});

export const getBatchOperation = operation({
  id: 'getV1BatchOperationsByBatchID',
  sdk: 'batchOperations.get',
  method: 'GET',
  path: '/v1/batch-operations/:batchID',
  summary: 'Read a bulk operation',
  tags: ['BatchOperations'],
  permission: 'runs:read',
  params: z.object({ batchID: z.string() }),
  query: z.object({ project_id }),
  replies: { 200: BatchOperation },
  failures: ['batch_operation_not_found'],
});
