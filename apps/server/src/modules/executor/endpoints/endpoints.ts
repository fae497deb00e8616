// What this process learns about endpoints, and what all processes together know of them: breaker, health, load, and what
// these let through. Results are gathered in memory; failures and probes are written at once, successes within a second.
// A store that does not answer never holds an attempt up.

import type { Database, Tx } from '../../../platform/db/database.ts';
import { UP, type Service } from '../../../platform/services/service.ts';
import type { Admission, EndpointAdmission, Entry, ProbeClaim } from '../../queue/index.ts';
import { createConcurrency, windowOf } from './concurrency.ts';
import { foldLoad, NO_LOAD, type Bounds, type LoadWindow } from './concurrency-rules.ts';
import {
  admissionOf,
  foldBreaker,
  foldHealth,
  levelOf,
  NO_FAILURES,
  NO_HEALTH,
  scoreOf,
  type BreakerFold,
  type Finding,
  type HealthFold,
  type HealthLevel,
} from './rules.ts';
import * as store from './store.sql.ts';

export interface EndpointResult {
  readonly project_id: string;
  readonly endpoint: string;
  /** Undefined: nothing was learned. */
  readonly finding: Finding | undefined;
  readonly latency_ms: number;
  readonly timeout_ms: number;
  /** It answered 429 or 503. */
  readonly overloaded?: boolean;
  /** Requests of this process that the endpoint had at a time, at most, while this one ran. */
  readonly concurrent?: number;
  /** The attempt was let through as the probe of a closed endpoint. */
  readonly probe?: Pick<ProbeClaim, 'run_id' | 'claim_seq'> | undefined;
}

/** What became of endpoints, for metrics and the log. */
export interface EndpointChange {
  readonly project_id: string;
  readonly endpoint: string;
  readonly what: 'breaker' | 'health' | 'concurrency';
  readonly to: 'closed' | 'open' | 'half_open' | HealthLevel | 'limited' | 'free';
}

export interface EndpointsDeps {
  /** The hot pool. */
  readonly db: Database;
  readonly admission: EndpointAdmission;
  /** Failures in a row that open a breaker; 0: it never opens. */
  readonly breaker_failures: number;
  /** Whether the health score slows and blocks; it is kept in any case. */
  readonly health_counts: boolean;
  /** Within which concurrency adapts; absent: it does not. */
  readonly concurrency?: Bounds | undefined;
  /** Of results that are judged together, and how long they are gathered in memory. Default: a second. */
  readonly window_ms?: number;
  readonly onError: (error: unknown, what: string) => void;
  readonly onChange: (change: EndpointChange) => void;
}

interface Pending {
  readonly project_id: string;
  readonly endpoint: string;
  health: HealthFold;
  breaker: BreakerFold;
  load: LoadWindow;
  readonly probes: (Pick<ProbeClaim, 'run_id' | 'claim_seq'> & {
    readonly finding: Finding | undefined;
  })[];
  /** What its admission rests on has changed in ways the results do not show. */
  readonly look: boolean;
}

const OPEN_SECS = 60;
const LONGEST_OPEN_SECS = 600;
const WINDOW_MS = 1_000;
/** Nobody wrote for so many windows: what was gathered before is thrown away. Slow requests come that far apart. */
const LONGEST_WINDOWS = 30;
const STANDING_SECS = 30;
const STANDING = 500;
/** Endpoints nobody called for so long are forgotten. */
const FORGOTTEN_SECS = 7 * 86_400;

export type Endpoints = ReturnType<typeof createEndpoints>;

export function createEndpoints(deps: EndpointsDeps) {
  const { db, admission, onError, onChange, window_ms = WINDOW_MS } = deps;
  const concurrency = createConcurrency({
    db,
    admission,
    bounds: deps.concurrency,
    onError,
    onChange: (key, to) => onChange({ ...key, what: 'concurrency', to }),
  });
  let pending = new Map<string, Pending>();
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> | undefined;
  let following: Promise<void> | undefined;
  const alarms = new Map<string, NodeJS.Timeout>();
  let stopped = false;

  const note = (result: EndpointResult): void => {
    const { project_id, endpoint, finding, probe } = result;
    if (finding === undefined && !probe) return;
    const key = `${project_id} ${endpoint}`;
    let entry = pending.get(key);
    if (!entry) {
      entry = emptyEntry(project_id, endpoint);
      pending.set(key, entry);
    }
    if (finding !== undefined) {
      entry.health = foldHealth(entry.health, finding, result.latency_ms, result.timeout_ms);
      if (!probe) entry.breaker = foldBreaker(entry.breaker, finding);
      entry.load = foldLoad(entry.load, result, finding);
    }
    if (probe) entry.probes.push({ ...probe, finding });
    if (probe || finding === 'failure') void record();
    else timer ??= setTimeout(() => void record(), window_ms);
  };

  /** Resolves when everything noted so far is written and judged, or given up. */
  const flush = (): Promise<void> => record().then(() => concurrency.judge());

  /** One write at a time; the next takes what came meanwhile. */
  const record = (): Promise<void> => {
    if (!writing) return writeNow();
    following ??= writing.then(() => {
      following = undefined;
      return writeNow();
    });
    return following;
  };

  const writeNow = (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    if (pending.size === 0) return Promise.resolve();
    const batch = [...pending.values()];
    pending = new Map();
    writing = write(batch).finally(() => (writing = undefined));
    return writing;
  };

  /** Samples of averages may be lost with the database; a probe that nobody hears of is freed by its deadline. */
  const write = async (batch: readonly Pending[]): Promise<void> => {
    try {
      const { changes, closed, windows } = await db.transaction((tx) => apply(tx, batch));
      for (const change of changes) onChange(change);
      for (const each of closed) alarm(each);
      // Not in the same transaction: a limit needs the root lane, which comes before what was locked there.
      void concurrency.judge(windows);
    } catch (error) {
      onError(error, 'what is known of endpoints');
    }
  };

  const apply = async (tx: Tx, batch: readonly Pending[]) => {
    const changes: EndpointChange[] = [];
    const changed = (
      { project_id, endpoint }: Pick<Pending, 'project_id' | 'endpoint'>,
      what: EndpointChange['what'],
      to: EndpointChange['to'],
    ): void => void changes.push({ project_id, endpoint, what, to });
    const toLookAt = new Set<string>();
    const nameOf = ({ project_id, endpoint }: Pick<Pending, 'project_id' | 'endpoint'>) =>
      `${project_id} ${endpoint}`;

    const windows = [];
    const loads = new Map(batch.map((entry) => [nameOf(entry), entry.load]));
    const window_secs = window_ms / 1000;
    const columns = {
      ...healthColumns(batch),
      window_secs,
      longest_secs: LONGEST_WINDOWS * window_secs,
    };
    for (const row of await store.recordHealth(tx, columns)) {
      if (row.closed) windows.push(windowOf(row, loads.get(nameOf(row)) ?? NO_LOAD));
      const level = levelOf(row.score);
      const before = levelOf(row.score_before ?? 100);
      if (level !== before) changed(row, 'health', level);
      if (level !== 'healthy' || before !== 'healthy') toLookAt.add(nameOf(row));
    }
    // All of them: what is looked at later is among these, and nobody locks them in another order.
    if (batch.some(({ probes }) => probes.length > 0)) await admission.lock(tx, batch);
    const probed = new Map<string, Finding | 'nothing'>();
    const breakers: (Pick<Pending, 'project_id' | 'endpoint'> & BreakerFold)[] = [];
    for (const { project_id, endpoint, breaker, probes, look } of batch) {
      let fold = breaker;
      for (const { finding, ...claim } of probes) {
        const ended = await admission.endProbe(tx, { project_id, endpoint, ...claim });
        if (ended) probed.set(nameOf({ project_id, endpoint }), finding ?? 'nothing');
        if (finding === undefined) continue;
        const settled = ended && (await settleProbe(tx, { project_id, endpoint }, finding));
        if (settled) changed({ project_id, endpoint }, 'breaker', settled);
        else fold = foldBreaker(fold, finding);
      }
      if (look || probes.length > 0) toLookAt.add(nameOf({ project_id, endpoint }));
      if (fold.longest > 0 || fold.succeeded) breakers.push({ project_id, endpoint, ...fold });
    }
    const failing = breakers.filter(({ longest }) => longest > 0);
    if (failing.length > 0) await store.ensureBreakers(tx, keyColumns(failing));
    if (breakers.length > 0)
      for (const row of await store.recordResults(tx, {
        ...keyColumns(breakers),
        leading: breakers.map(({ leading }) => leading),
        trailing: breakers.map(({ trailing }) => trailing),
        longest: breakers.map(({ longest }) => longest),
        succeeded: breakers.map(({ succeeded }) => succeeded),
        threshold: deps.breaker_failures,
        open_secs: OPEN_SECS,
      })) {
        if (row.state === row.state_before) continue;
        changed(row, 'breaker', 'open');
        toLookAt.add(nameOf(row));
      }
    const looked = batch.filter((entry) => toLookAt.has(nameOf(entry)));
    const closed = await readmit(tx, looked, probed);
    return { changes, closed, windows };
  };

  const settleProbe = async (
    tx: Tx,
    key: { readonly project_id: string; readonly endpoint: string },
    finding: Finding,
  ): Promise<'closed' | 'open' | undefined> => {
    const settled = await store.settleProbe(tx, {
      ...key,
      // Who answers is there, whatever he thinks of the request; who is busy is given another pause.
      closes: finding === 'success' || finding === 'refused',
      doubles: finding === 'failure',
      longest_open_secs: LONGEST_OPEN_SECS,
    });
    return settled && (settled.state === 'closed' ? 'closed' : 'open');
  };

  /** Writes down what these endpoints let through now; those that are closed. */
  const readmit = async (
    tx: Tx,
    entries: readonly Pending[],
    probed: ReadonlyMap<string, Finding | 'nothing'>,
  ) => {
    if (entries.length === 0) return [];
    const facts = await store.listFacts(tx, keyColumns(entries));
    const wanted = facts.map(
      ({ project_id, endpoint, breaker, closed, share, probe_at, ...row }) => {
        const before: Admission | undefined =
          closed === null || share === null || probe_at === null
            ? undefined
            : { closed, share, probe_at };
        const decided = admissionOf({
          ...row,
          score: deps.health_counts ? row.score : 100,
          breaker: breaker as 'closed' | 'open' | 'half_open',
          before,
          probed: probed.get(`${project_id} ${endpoint}`),
        });
        return { project_id, endpoint, ...decided, now: row.now };
      },
    );
    await admission.set(tx, wanted);
    return wanted
      .filter(({ closed }) => closed)
      .map(({ project_id, endpoint, probe_at, now }) => ({
        project_id,
        endpoint,
        probe_in_ms: Math.max(0, Date.parse(probe_at) - Date.parse(now)),
      }));
  };

  /** Wakes promotion when a probe is due; the queue's sweep would find it a second later. */
  const alarm = (of: {
    readonly project_id: string;
    readonly endpoint: string;
    readonly probe_in_ms: number;
  }): void => {
    const key = `${of.project_id} ${of.endpoint}`;
    clearTimeout(alarms.get(key));
    if (stopped) return;
    const wake = (): void => {
      alarms.delete(key);
      admission
        .wake([of.project_id])
        .catch((error: unknown) => onError(error, 'probe of an endpoint'));
    };
    alarms.set(key, setTimeout(wake, of.probe_in_ms + 1));
  };

  const service: Service = {
    name: 'endpoints',
    start: () => Promise.resolve(),
    async stop() {
      stopped = true;
      for (const each of alarms.values()) clearTimeout(each);
      alarms.clear();
      await flush();
      clearTimeout(timer);
    },
    health: () => UP,
  };

  return {
    /** Whether this claim may be sent to the endpoint now; a store that does not answer lets it. */
    async enter(claim: ProbeClaim, timeout_ms: number): Promise<Entry> {
      try {
        const entry = await admission.enter(claim, timeout_ms);
        if (entry.verdict === 'probe' && (await store.halfOpen(db, claim)) > 0)
          onChange({ ...claim, what: 'breaker', to: 'half_open' });
        return entry;
      } catch (error) {
        onError(error, 'state of an endpoint');
        return { verdict: 'open' };
      }
    },

    /** The promised run goes to another endpoint than its job now names. */
    async returnPromise(project_id: string, endpoint: string, run_id: string): Promise<void> {
      try {
        await admission.returnPromise({ project_id, endpoint }, run_id);
      } catch (error) {
        onError(error, 'state of an endpoint');
      }
    },

    note,
    flush,

    /** Idle time raises the score of endpoints that slow their jobs. */
    async relax(): Promise<{ again: boolean }> {
      const standing = await store.listStanding(db, {
        silent_secs: STANDING_SECS,
        limit: STANDING,
      });
      if (standing.length > 0)
        await db.transaction((tx) =>
          apply(
            tx,
            standing.map(({ project_id, endpoint }) => emptyEntry(project_id, endpoint, true)),
          ),
        );
      const more = await concurrency.relax();
      return { again: more || standing.length === STANDING };
    },

    /** Removes what is kept of endpoints that nobody calls any more. */
    async forget(): Promise<void> {
      const silent_secs = FORGOTTEN_SECS;
      await admission.removeOld(db, silent_secs);
      await store.removeOldConcurrency(db, { silent_secs });
      await store.removeOldHealth(db, { silent_secs });
      await store.removeOldBreakers(db, { silent_secs });
    },

    service,
  };
}

const emptyEntry = (project_id: string, endpoint: string, look = false): Pending => ({
  project_id,
  endpoint,
  health: NO_HEALTH,
  breaker: NO_FAILURES,
  load: NO_LOAD,
  probes: [],
  look,
});

const keyColumns = (entries: readonly Pick<Pending, 'project_id' | 'endpoint'>[]) => ({
  project_ids: entries.map(({ project_id }) => project_id),
  endpoints: entries.map(({ endpoint }) => endpoint),
});

const healthColumns = (entries: readonly Pending[]) => ({
  ...keyColumns(entries),
  scores: entries.map(({ health }) => scoreOf(health)),
  success_rates: entries.map(({ health }) => health.success_rate),
  timeout_rates: entries.map(({ health }) => health.timeout_rate),
  latency_scores: entries.map(({ health }) => health.latency_score),
  samples: entries.map(({ health }) => health.samples),
  last_latencies_ms: entries.map(({ health }) => health.last_latency_ms),
  oks: entries.map(({ load }) => load.ok),
  failures: entries.map(({ load }) => load.failures),
  overloads: entries.map(({ load }) => load.overloads),
  logs_ms: entries.map(({ load }) => load.log_ms),
  peaks: entries.map(({ load }) => load.peak),
});
