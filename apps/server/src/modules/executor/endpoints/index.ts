// Failing endpoints: circuit breaker, health score, what both let through. Promises: state is per project and endpoint and
// shared by all workers, a closed endpoint gets one probe at a time, and no attempt fails because the state cannot be read.

export {
  createEndpoints,
  type EndpointChange,
  type EndpointResult,
  type Endpoints,
} from './endpoints.ts';
export { endpointLoops } from './loops.ts';
export { createEndpointReads, endpointRoutes, type EndpointReads } from './reads.ts';
export { findingOf, mayFallBack, type Finding } from './rules.ts';
