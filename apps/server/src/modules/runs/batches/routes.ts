import { bind } from '../../access/index.ts';
import { getBatchOperation, listBatchOperations } from './contract.ts';
import type { Batches } from './service.ts';

export const batchRoutes = (batches: Batches) => [
  bind(listBatchOperations, ({ project }, { query }) => batches.list(project, query)),
  bind(getBatchOperation, ({ project }, { params }) => batches.get(project, params.batchID)),
];
