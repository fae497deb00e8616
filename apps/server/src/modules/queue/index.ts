// The queue: owns job_runs with its thirteen states, the place tables beside it, run_events and
// job_run_idempotency. Promises: a run is in exactly one place, a transition happens once, and nobody
// finishes an attempt whose lease he does not hold.

export { createBatcher, type Batcher } from './batcher.ts';
export {
  createQueue,
  type Claim,
  type ClaimedRun,
  type Completion,
  type Enqueued,
  type NewRun,
  type NewRunExtra,
  type Queue,
  type QueueSettings,
  type Settlement,
} from './queue.ts';
export { createOperatorVerbs, type LeftReaction, type OperatorVerbs } from './operator/verbs.ts';
export { leases, leaseState, type Lease, type LeaseState, type RunClaim } from './lease/lease.ts';
export {
  createEndings,
  dependencyStatus,
  type DependencyStatusRow,
  type Ending,
  type Endings,
  type StepEnding,
} from './endings/endings.ts';
export { intake, type SamePayload } from './intake/intake.ts';
export { buffers, type BatchKey } from './buffers/buffers.ts';
export { createWaitingVerbs, type WaitingVerbs } from './waiting/verbs.ts';
export {
  createEndpointAdmission,
  type Admission,
  type EndpointAdmission,
  type EndpointKey,
  type Entry,
  type ProbeClaim,
} from './admission/admission.ts';
export { createLimits, type Limits } from './limits/limits.ts';
export { busyJobs, cancelOthers } from './overlap/overlap.ts';
export { createPromoter, type Promoter } from './limits/promoter.ts';
export { money, OverBudget, type Breach, type MoneyDrift } from './money/money.ts';
export { createMoneyUpkeep, type MoneyUpkeep } from './money/upkeep.ts';
export { moneyLoops } from './money/loops.ts';
export { createMoneyReads, type MoneyReads } from './money/reads.ts';
export { createRetention, type Retention, type RetentionSettings } from './retention/retention.ts';
export { createRunHistory } from './history/history.ts';
export { GIVEN_PRIORITY, givenPriority } from './given-priority.ts';
export { isRunId, runTime, runTimes } from './run-id.ts';
export {
  isTerminal,
  runStates,
  TERMINAL_STATES,
  type RunStatus,
  type TerminalStatus,
} from './states.ts';
export { partitionsService, queueLoops, type QueueLoopDeps } from './loops.ts';
export { CHECK_NAMES, checkQueue, checkQueueTwice, type Violation } from './upkeep/checker.ts';
export { createMover } from './upkeep/mover.ts';
export { createUpkeep, type LostLease, type Upkeep, type UpkeepSettings } from './upkeep/upkeep.ts';
