// The life of a run as verbs. Each verb is one batch, one statement, one transaction; what a statement
// promises is written beside it in store.sql. Everything that changes a run goes through here or through
// the neighbours `operator` (people), `waiting` (suspension) and `upkeep` (time and lost workers).

import type { DelayStep } from '../../domain/delay.ts';
import { repeatConflicts } from '../../platform/db/database.ts';
import type { Queryable } from '../../platform/db/query.ts';
import { createEnqueuing, holderKey } from './enqueuing.ts';
import { placing } from './lane-gone.ts';
import { runTimes } from './run-id.ts';
import * as leaseStore from './lease/store.sql.ts';
import * as limitStore from './limits/store.sql.ts';
import * as upkeepStore from './upkeep/store.sql.ts';
import * as workers from './workers/store.sql.ts';
import * as store from './store.sql.ts';

export interface QueueSettings {
  /** What one point of priority is worth, in milliseconds of waiting (PRIORITY_AGING_SECS). */
  readonly aging_ms: number;
  /** Time to live of runs whose trigger and job name none; 0 = for ever. */
  readonly default_ttl_secs: number;
  /** How long an idempotency key stays bound after its run ended. */
  readonly idempotency_retention_secs: number;
}

/** A run to be created. The job's tags, metadata, version and time to live are read by the statement. */
export interface NewRun {
  readonly job_id: string;
  readonly project_id: string;
  /** Canonical JSON text. */
  readonly payload: string;
  readonly priority: number;
  readonly idempotency_key?: string | undefined;
  readonly payload_hash?: string | undefined;
  readonly extra?: NewRunExtra | undefined;
}

/** The rarely used members of a new run; sent as one JSON column. */
export interface NewRunExtra {
  readonly triggered_by?: string | undefined;
  readonly created_by?: string | undefined;
  readonly scheduled_at?: string | undefined;
  /** What moved `scheduled_at`, if it was not the caller alone. */
  readonly delayed_by?: readonly DelayStep[] | undefined;
  readonly ttl_secs?: number | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly concurrency_key?: string | undefined;
  readonly parent_run_id?: string | undefined;
  readonly continuation_of?: string | undefined;
  readonly lineage_depth?: number | undefined;
  readonly batch_id?: string | undefined;
  readonly debug_mode?: boolean | undefined;
  /** Another version than the live one, for replays of pinned runs; `job_version_id` goes with it. */
  readonly job_version?: number | undefined;
  readonly job_version_id?: string | undefined;
  readonly max_attempts_override?: number | undefined;
  readonly timeout_secs_override?: number | undefined;
  readonly retry_backoff?: string | undefined;
  readonly retry_initial_delay_secs?: number | undefined;
  readonly retry_max_delay_secs?: number | undefined;
  /** The step of a workflow that starts it and is told of its end (`endings.takeSteps`). */
  readonly workflow_step_run_id?: string | undefined;
}

/** `created`: a new run. `held`: the idempotency key already names this run. `refused`: the job is gone or disabled. */
export type Enqueued =
  | {
      readonly outcome: 'created';
      readonly id: string;
      readonly status: string;
      readonly created_at: string;
      readonly expires_at: string | null;
    }
  | {
      readonly outcome: 'held';
      readonly id: string;
      readonly status: string;
      readonly created_at: string;
      readonly payload_hash: string | null;
    }
  | { readonly outcome: 'refused' };

export type ClaimedRun = store.ClaimRunsRow;

/** Identifies one claim of one run: what every write for an attempt is fenced by. */
export interface Claim {
  readonly id: string;
  readonly created_at: string;
  readonly claim_seq: number;
}

export interface Completion extends Claim {
  /** JSON text, or undefined for an empty body. */
  readonly result?: string | undefined;
  readonly started_at: string;
  readonly trace?: unknown;
  readonly version?: readonly [number, string | null] | undefined;
  readonly event?: Readonly<Record<string, unknown>> | undefined;
}

/** Any other end of an attempt; `to: 'queued'` with `delay_ms` is a retry, without it a hand-back. */
export interface Settlement extends Claim {
  readonly to: string;
  readonly started_at?: string | undefined;
  readonly attempt?: number | undefined;
  readonly priority?: number | undefined;
  readonly delay_ms?: number | undefined;
  /** What the delay is made of, if it is not the back-off alone. */
  readonly delayed_by?: readonly DelayStep[] | undefined;
  readonly error?: string | undefined;
  readonly error_class?: string | undefined;
  readonly result?: string | undefined;
  readonly trace?: unknown;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly version?: readonly [number, string | null] | undefined;
  readonly event?: Readonly<Record<string, unknown>> | undefined;
  readonly level?: 'debug' | 'info' | 'warn' | 'error' | undefined;
  /** The claim never reached the endpoint: no `executing` event is owed. */
  readonly unstarted?: boolean | undefined;
  /** Only while this worker still owns the lease; a hand-over to the endpoint keeps the claim. */
  readonly owner?: number | undefined;
}

export type Queue = ReturnType<typeof createQueue>;

export interface QueueDependencies {
  /** The hot pool: generic plans, no sequential scans (queue-performance §4 rule 4). */
  readonly db: Queryable;
  /** A connection of its own for the beats, so that no pile-up elsewhere makes a living worker look dead. Default `db`. */
  readonly beats?: Queryable;
  readonly settings: QueueSettings;
}

export function createQueue({ db, beats = db, settings }: QueueDependencies) {
  const enqueuing = createEnqueuing({ db, settings });
  // Without a promoter in this process the others are told.
  let promote = (roots: readonly number[]): void =>
    void limitStore.tellPromoters(db, { root_lane_ids: roots }).catch(() => {});
  /** The trees that got slots back. All rows say the same. */
  const freed = (rows: readonly { readonly freed_roots: string | null }[]): void => {
    const roots = rows[0]?.freed_roots;
    if (roots) promote(roots.split(' ').map(Number));
  };

  return {
    /** Who promotes here; called with the roots of trees that got slots back. */
    onFreed(promoter: (root_lane_ids: readonly number[]) => void): void {
      promote = promoter;
    },

    /** Creates one run; resolves after the commit that made it durable. */
    enqueue: (run: NewRun): Promise<Enqueued> => enqueuing.shared.add(run),

    /** Creates all runs in one statement, on the caller's transaction when one is given. */
    enqueueMany: (runs: readonly NewRun[], target: Queryable = db): Promise<Enqueued[]> =>
      enqueuing.all(target, runs),

    /** The runs that hold the idempotency keys of these, for those whose key is held. */
    keyHolders: async (runs: readonly NewRun[], target: Queryable = db) => {
      const holders = await enqueuing.keyHolders(target, runs);
      return runs.map((run) => holders.get(holderKey(run)));
    },

    /** Takes up to `limit` startable runs after `cursor` (a project id); the leases are durable on return. */
    claim: (input: { worker_id: number; limit: number; cursor: string }): Promise<ClaimedRun[]> =>
      store.claimRuns(db, input),
    /** Whether anything is in the queue, also what somebody is claiming just now. */
    anyReady: async (): Promise<boolean> => (await store.anyReady(db)).some,

    /** Ids of the runs that really were completed by these claims. */
    complete: async (batch: readonly Completion[]): Promise<Set<string>> => {
      const facts = {
        ...range(batch),
        facts_json: joinFacts(batch, completionFact),
        idempotency_retention_secs: settings.idempotency_retention_secs,
      };
      const done = await repeatConflicts(() => store.completeRuns(db, facts));
      freed(done);
      return ids(done);
    },

    /** Ids of the runs that really were settled by these claims. */
    settle: async (batch: readonly Settlement[], target: Queryable = db): Promise<Set<string>> => {
      const facts = {
        ...range(batch),
        facts_json: joinFacts(batch, settlementFact),
        aging_ms: settings.aging_ms,
        idempotency_retention_secs: settings.idempotency_retention_secs,
      };
      const write = () => placing(store.settleRuns(target, facts));
      // A transaction of the caller's is repeated by him, whole.
      const done = await (target === db ? repeatConflicts(write) : write());
      freed(done);
      return ids(done);
    },

    /** Moves claims that may not start (a pause or a limit came) to where they wait. */
    park: async (batch: readonly Claim[]): Promise<void> => {
      const parked = await store.parkRuns(db, {
        ...range(batch),
        claims_json: claimsOf(batch),
        aging_ms: settings.aging_ms,
      });
      freed(parked);
      promote([...new Set(parked.map(({ root_lane_id }) => root_lane_id))]);
    },

    /** Copies leases into the wide rows as `executing`; ids of those that still held. */
    mark: async (
      batch: readonly (Claim & Pick<Completion, 'version'> & { readonly started_at: string })[],
    ): Promise<Set<string>> =>
      ids(
        await upkeepStore.markExecuting(db, {
          ...range(batch),
          claims_json: claimsOf(batch),
          starts_json: byId(batch, (run) => run.started_at),
          versions_json: byId(batch, (run) => run.version),
        }),
      ),

    registerWorker: async (input: { hostname: string; pid: number }): Promise<number> =>
      (await workers.registerWorker(db, input)).id,
    /** False when the row is gone: this process was taken for dead. */
    beat: async (worker_id: number): Promise<boolean> =>
      (await workers.beatWorker(beats, { worker_id })) === 1,
    removeWorker: async (worker_id: number): Promise<void> =>
      void (await workers.removeWorker(db, { worker_id })),
    /** Where these runs stand now. */
    fates: (run_ids: readonly string[]) => workers.listFates(db, { run_ids, ...runTimes(run_ids) }),
    /** Shows the run as executing and gives the lease to the endpoint for at most `deadline_secs`. False: the claim lost the run. */
    handOver: async (claim: Claim, deadline_secs: number): Promise<boolean> =>
      (await leaseStore.handOver(db, {
        run_id: claim.id,
        claim_seq: claim.claim_seq,
        deadline_secs,
      })) !== undefined,
    leases: (worker_id: number) => workers.listLeases(db, { worker_id }),

    /** Resolves when every enqueue accepted so far has been answered. */
    drain: () => enqueuing.shared.drain(),
  };
}

const ids = (rows: readonly { readonly id: string }[]): Set<string> =>
  new Set(rows.map((row) => row.id));

/** One fact per run as a JSON object; runs without it are left out. */
const byId = <Item extends Claim>(
  batch: readonly Item[],
  factOf: (item: Item) => unknown,
): string => JSON.stringify(Object.fromEntries(batch.map((run) => [run.id, factOf(run)])));

const claimsOf = (batch: readonly Claim[]): string => byId(batch, (run) => run.claim_seq);

/** The batch's ids and its created_at range, which prunes the partitions the statements look at. */
function range(batch: readonly Claim[]): {
  run_ids: string[];
  created_from: string;
  created_to: string;
} {
  const run_ids = batch.map((run) => run.id);
  return { run_ids, ...runTimes(run_ids) };
}

/** Joins per-run facts by hand, so that results that already are JSON text are not parsed again. */
function joinFacts<Item extends Claim>(
  batch: readonly Item[],
  factOf: (item: Item) => string,
): string {
  return `{${batch.map((item) => `"${item.id}":${factOf(item)}`).join(',')}}`;
}

function completionFact(run: Completion): string {
  const parts = [`"c":${run.claim_seq},"s":"${run.started_at}"`];
  if (run.result !== undefined) parts.push(`"r":${run.result}`);
  if (run.trace !== undefined) parts.push(`"t":${JSON.stringify(run.trace)}`);
  if (run.version) parts.push(`"v":${JSON.stringify(run.version)}`);
  if (run.event) parts.push(`"d":${JSON.stringify(run.event)}`);
  return `{${parts.join(',')}}`;
}

function settlementFact(run: Settlement): string {
  const fact = JSON.stringify({
    c: run.claim_seq,
    to: run.to,
    s: run.started_at,
    n: run.attempt,
    p: run.priority,
    w: run.delay_ms,
    y: run.delayed_by,
    e: run.error,
    ec: run.error_class,
    t: run.trace,
    m: run.metadata,
    v: run.version,
    d: run.event,
    l: run.level,
    u: run.unstarted ? 1 : undefined,
    o: run.owner,
  });
  return run.result === undefined ? fact : `${fact.slice(0, -1)},"r":${run.result}}`;
}
