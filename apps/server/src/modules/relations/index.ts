// What the end of a run means for other runs: jobs and workflows that follow it, and runs that waited for it. Promises: what follows
// starts exactly once, however often processes crash in between, and no run waits for an end that has come.

export {
  createChaining,
  type ChainedWorkflow,
  type Chaining,
  type StartWorkflow,
} from './chaining.ts';
export { createDependencyReads, type DependencyReads } from './dependency-status.ts';
export { relationLoops, type RelationLoopDeps } from './loops.ts';
export { relationRoutes } from './routes.ts';
