// Runs as people see them: triggering, reading, acting on and watching them. Every change of a run's state
// goes through the queue's verbs; what this module owns are the details that hang off runs and bulk operations.

export {
  createRuns,
  runRoutes,
  type Runs,
  type RunsDependencies,
  type RunsSettings,
} from './runs.ts';
export { runLoops } from './loops.ts';
export type { Triggers, TriggerJobs } from './trigger/trigger.ts';
export type { BulkTriggers } from './trigger/bulk.ts';
export { canonicalJson, payloadHash } from './trigger/canonical-json.ts';
export { runMetadata, scheduleProblem } from './trigger/rules.ts';
export { deferAll, deferred } from './trigger/starts.ts';
export { Metadata, Tags } from './trigger/contract.ts';
export type { RunReads } from './reads/service.ts';
export type { BulkRunActions } from './actions/bulk.ts';
export type { RunActions } from './actions/single.ts';
export type { RunLive } from './live/run-live.ts';
export {
  EventLevel,
  JobRun,
  JobRunPage,
  RunCheckpoint,
  RunEvent,
  RunOutput,
  RunState,
  RunStatus,
  RunToolCall,
  RunUsage,
  runView,
  type RunRow,
} from './views.ts';
export { runDetailLimits, runDetails, type UsageReport } from './details/details.ts';
