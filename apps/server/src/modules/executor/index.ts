// The executor: claims runs, calls their endpoints, interprets the replies and settles them. Promises: one
// request per claim, a lease that is durable before anything is sent, and no write without that lease.

export { createAdaptiveTimeout } from './adaptive-timeout.ts';
export { createDispatcher, type DispatcherDeps } from './dispatcher.ts';
export {
  createEndpointReads,
  createEndpoints,
  endpointLoops,
  endpointRoutes,
  type EndpointChange,
} from './endpoints/index.ts';
export { lostSettlement } from './lost.ts';
export type { ResumeFacts } from './request.ts';
export { decideRetry, policyOf, type RetryPolicy } from './rules.ts';
export { createSettling, type Settling } from './settling.ts';
export { createWorker, type Worker, type WorkerSettings } from './worker.ts';
