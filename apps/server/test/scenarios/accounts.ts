// The books of a scenario: every run ended once, no attempt ended twice, every repeated dispatch is explained.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDatabaseUnavailable, type Database } from '../../src/platform/db/database.ts';
import { checkQueue, isPatient } from '../../src/modules/queue/upkeep/checker.ts';
import { TERMINAL_STATES } from '../../src/modules/queue/states.ts';
import { until } from '../until.ts';
import type { Cluster } from './cluster.ts';
import type { Dispatch, Endpoint } from './endpoint.ts';

const TERMINAL = [...TERMINAL_STATES];

/** Waits until every run has ended; says what is left when they do not. */
export async function untilAllEnded(
  cluster: Cluster,
  deadline_ms = 60_000,
): Promise<Record<string, number>> {
  let last: Record<string, number> = {};
  const states = async (): Promise<Record<string, number>> => {
    const rows = await cluster.rows<{ status: string; count: number }>(
      'select status, count(*) from job_runs group by status',
    );
    return Object.fromEntries(rows.map((row) => [row.status, Number(row.count)]));
  };
  try {
    return await until(
      'every run to end',
      async () => {
        last = await states();
        return Object.keys(last).every((status) => (TERMINAL as string[]).includes(status)) && last;
      },
      { deadline_ms, every_ms: 100 },
    );
  } catch {
    return assert.fail(`runs did not end: ${JSON.stringify(last)}`);
  }
}

export interface Audit {
  readonly runs: number;
  readonly dispatches: number;
  /** Dispatches of a run beyond its first. */
  readonly repeated: number;
  readonly hand_backs: number;
  readonly lost_attempts: number;
}

/** To be called once everything has ended. */
export async function audit(
  cluster: Cluster,
  endpoint: Pick<Endpoint, 'dispatches' | 'malformed'>,
): Promise<Audit> {
  assert.deepEqual(endpoint.malformed, []);
  const terminal = `type = 'state_change' and data ->> 'to' = any ($1)`;
  assert.deepEqual(
    await cluster.rows(
      `select r.id, r.status, count(e.run_id) as endings
         from job_runs r left join (select run_id from run_events where ${terminal}) e on e.run_id = r.id
        group by 1, 2 having count(e.run_id) <> 1 or r.status <> all ($1) limit 10`,
      [TERMINAL],
    ),
    [],
    'every run ends exactly once',
  );

  // A hand-back says why in `reason` and leaves the attempt open; everything else that left `executing` ended it.
  assert.deepEqual(
    await cluster.rows(
      `select run_id, data ->> 'attempt' as attempt, count(*) as endings from run_events
        where type = 'state_change' and data ->> 'from' = 'executing' and not data ? 'reason'
        group by 1, 2 having count(*) > 1 limit 10`,
    ),
    [],
    'no attempt ends twice',
  );

  const [places] = await cluster.rows<{ count: number }>(
    `select (select count(*) from run_queue) + (select count(*) from run_active) + (select count(*) from run_delayed)
          + (select count(*) from run_parked) + (select count(*) from run_waiting) as count`,
  );
  assert.equal(Number(places?.count), 0, 'ended runs have no place');

  const handBacks = new Map(
    (
      await cluster.rows<{ attempt: string; count: number }>(
        `select run_id || ' ' || (data ->> 'attempt') as attempt, count(*) from run_events
      where type = 'state_change' and data ->> 'to' = 'queued' and data ? 'reason' group by 1`,
      )
    ).map(({ attempt, count }) => [attempt, Number(count)]),
  );
  const repeated = judgeDispatches(endpoint.dispatches, handBacks);

  const ended = await cluster.rows<{
    id: string;
    attempt: number;
    result: { attempt: number; claim: number } | null;
  }>(`select id, attempt, result from job_runs where status = 'completed'`);
  const dispatched = new Set(
    endpoint.dispatches.map(({ run_id, attempt, claim }) => `${run_id}:${attempt}:${claim}`),
  );
  assert.deepEqual(
    ended
      .filter(
        ({ id, attempt, result }) =>
          result?.attempt !== attempt || !dispatched.has(`${id}:${attempt}:${result.claim}`),
      )
      .slice(0, 10),
    [],
    'the stored result is the reply to a dispatch of the attempt that completed the run',
  );

  const [facts] = await cluster.rows<{ runs: number; lost: number }>(
    `select (select count(*) from job_runs) as runs,
            (select count(*) from run_events where type = 'state_change' and data ->> 'error_class' = 'crash') as lost`,
  );
  return {
    runs: Number(facts?.runs),
    dispatches: endpoint.dispatches.length,
    repeated,
    hand_backs: [...handBacks.values()].reduce((sum, count) => sum + count, 0),
    lost_attempts: Number(facts?.lost),
  };
}

/** A later claim has a higher attempt, or the same one after a hand-back; no claim is dispatched twice. */
function judgeDispatches(
  dispatches: readonly Dispatch[],
  handBacks: ReadonlyMap<string, number>,
): number {
  const byRun = Map.groupBy(dispatches, ({ run_id }) => run_id);
  const wrong: string[] = [];
  let repeated = 0;
  for (const [run_id, all] of byRun) {
    if (all.length === 1) continue;
    repeated += all.length - 1;
    const ordered = all.toSorted((a, b) => a.claim - b.claim);
    const shown = `${run_id}: ${ordered.map(({ attempt, claim }) => `${attempt}/${claim}`).join(' ')}`;
    for (const [index, next] of ordered.entries()) {
      const previous = ordered[index - 1];
      if (previous && (next.claim === previous.claim || next.attempt < previous.attempt))
        wrong.push(shown);
    }
    for (const [attempt, same] of Map.groupBy(ordered, (each) => each.attempt)) {
      if (same.length - 1 > (handBacks.get(`${run_id} ${attempt}`) ?? 0))
        wrong.push(`${shown} without a hand-back`);
    }
  }
  assert.deepEqual(
    wrong.slice(0, 10),
    [],
    'a repeated dispatch carries a higher attempt, or a higher claim after a hand-back',
  );
  return repeated;
}

export interface QueueWatch {
  /** Takes a last look; rejects when any look found a violation. */
  stop(): Promise<{ snapshots: number }>;
}

const PATIENCE_MS = 3_000;

/**
 * Runs the ten checker queries again and again. What may be a passing moment counts once it was there in every look
 * for 3 s. Looks while PostgreSQL is away are skipped.
 */
export function watchQueue(db: Database, every_ms = 500): QueueWatch {
  const firstSeen = new Map<string, number>();
  const found = new Set<string>();
  const stopping = new AbortController();
  let snapshots = 0;
  const look = async (): Promise<void> => {
    try {
      const violations = await checkQueue(db);
      snapshots += 1;
      const now = performance.now();
      const seen = new Set(violations.map(({ check, subject }) => `${check} ${subject}`));
      for (const known of firstSeen.keys()) if (!seen.has(known)) firstSeen.delete(known);
      for (const { check, subject } of violations) {
        const name = `${check} ${subject}`;
        if (!firstSeen.has(name)) firstSeen.set(name, now);
        if (!isPatient(check) || now - (firstSeen.get(name) ?? now) >= PATIENCE_MS) found.add(name);
      }
    } catch (error) {
      if (!isDatabaseUnavailable(error)) throw error;
      firstSeen.clear();
    }
  };
  const watching = (async () => {
    while (!stopping.signal.aborted) {
      await look();
      await sleep(every_ms, undefined, { signal: stopping.signal }).catch(() => {});
    }
  })();
  watching.catch(() => {});
  return {
    async stop() {
      stopping.abort();
      await watching;
      await look();
      assert.deepEqual([...found].slice(0, 20), [], 'the queue checker finds nothing');
      return { snapshots };
    },
  };
}
