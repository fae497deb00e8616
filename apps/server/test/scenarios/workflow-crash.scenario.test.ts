// Workflows with sleeps, events, approvals and lists while every process of a cluster is killed in turn. None gets stuck, and
// no step starts twice (workflow-semantics I1, I8, I10; §27.6 6).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../until.ts';
import { audit, watchQueue } from './accounts.ts';
import { full, report, startCluster, type Cluster } from './cluster.ts';
import type { Mode, ProductProcess } from './processes.ts';

const WORKFLOWS = full ? 300 : 20;
const KILLING_MS = full ? 120_000 : 0;
const MIN_KILLS = full ? 20 : 2;
const ITEMS = 3;

/** Twenty steps of every kind that waits for something. */
const steps = (job_id: string) => {
  const job = (step_ref: string, ...depends_on: string[]) => ({ step_ref, job_id, depends_on });
  return [
    job('a'),
    job('b1', 'a'),
    job('b2', 'a'),
    job('b3', 'a'),
    job('b4', 'a'),
    { step_ref: 'nap', step_type: 'sleep', sleep_duration_secs: 1, depends_on: ['b1'] },
    { step_ref: 'ok', step_type: 'approval', approvers: ['*'], depends_on: ['b2'] },
    {
      step_ref: 'event',
      step_type: 'wait_for_event',
      event_key: 'go-{{workflow_run_id}}',
      depends_on: ['b3'],
    },
    {
      step_ref: 'list',
      step_type: 'map',
      job_id,
      map_items: Array.from({ length: ITEMS }, (_, n) => n),
      map_max_parallel: 2,
      depends_on: ['b4'],
    },
    job('join', 'nap', 'ok', 'event', 'list'),
    job('c1', 'join'),
    job('c2', 'c1'),
    { step_ref: 'nap2', step_type: 'sleep', sleep_duration_secs: 1, depends_on: ['join'] },
    job('d1', 'nap2'),
    job('d2', 'd1'),
    { step_ref: 'ok2', step_type: 'approval', approvers: ['*'], depends_on: ['c2', 'd2'] },
    job('e1', 'ok2'),
    job('e2', 'ok2'),
    job('e3', 'ok2'),
    job('last', 'e1', 'e2', 'e3'),
  ];
};

test(
  'workflows end while processes are killed in turn, and no step starts twice',
  { timeout: 600_000 },
  async (t) => {
    const began = performance.now();
    const cluster = await startCluster(t, {
      database: 'own',
      env: { WORKER_CONCURRENCY: '48', DB_MAX_CONNS: '12' },
    });
    const endpoint = await cluster.endpoint(({ claim }) => ({ delay_ms: 5 + (claim % 40) }));
    const alive: ProductProcess[] = await Promise.all(
      (['api', 'api', 'worker', 'worker'] as const).map((mode) => cluster.start(mode)),
    );
    const anApi = (n: number) => alive.filter(({ mode }) => mode === 'api')[n % 2];
    const first = anApi(0);
    assert.ok(first);
    const job = await cluster.job(first, endpoint, { max_attempts: 50, retry_strategy: 'fixed' });
    const made = await cluster.call<{ id: string }>(first, 'POST', '/v1/workflows', {
      name: 'w',
      slug: 'w',
      steps: steps(job),
    });
    assert.equal(made.status, 201, JSON.stringify(made.body));

    const watch = watchQueue(cluster.db);
    const tending = tend(cluster, (n) => anApi(n));
    t.after(() => tending.stop());
    const killing = killInTurn(cluster, alive);
    let repeated = 0;
    for (let n = 0; n < WORKFLOWS; n += 1) {
      // The answer may be lost with its process: the key makes the next try the same.
      await until(`trigger ${n}`, async () => {
        const api = anApi(n + repeated);
        const answer = await (api &&
          cluster
            .call(api, 'POST', '/v1/workflows/w/trigger', {}, { 'Idempotency-Key': `w-${n}` })
            .catch(() => undefined));
        if (answer?.status === 201 || answer?.status === 200) return true;
        repeated += 1;
        return false;
      });
      if (full) await sleep(KILLING_MS / WORKFLOWS / 1.5);
    }
    const kills = await killing;
    const runs = () =>
      cluster.rows<{ status: string; n: number }>(
        'select status, count(*)::int as n from workflow_runs group by status',
      );
    const LIVE = new Set(['pending', 'running', 'paused']);
    await until(
      'every workflow run to end',
      async () => (await runs()).every(({ status }) => !LIVE.has(status)),
      { deadline_ms: 120_000, every_ms: 100 },
    );
    await tending.stop();
    const { snapshots } = await watch.stop();

    assert.deepEqual(await runs(), [{ status: 'completed', n: WORKFLOWS }]);
    const left = await cluster.rows(
      `select 'step' as what from workflow_step_runs where status <> 'completed' or attempt <> 1
     union all select 'end' from step_endings
     union all select 'child' from workflow_map_children where status <> 'completed'
     union all select 'trigger' from event_triggers where status = 'waiting'
     union all select 'approval' from workflow_step_approvals where status = 'pending'`,
    );
    assert.deepEqual(left, []);
    const starts = await cluster.rows<{ step_type: string; starts: number; steps: number }>(
      `select f.step_type, s.starts, count(*)::int as steps
       from (select s.workflow_step_id, (select count(*) from job_runs j where j.workflow_step_run_id = s.id)::int as starts
               from workflow_step_runs s) s join workflow_version_steps f on f.id = s.workflow_step_id
      where f.step_type in ('job', 'map') group by 1, 2 order by 1, 2`,
    );
    assert.deepEqual(starts, [
      { step_type: 'job', starts: 1, steps: WORKFLOWS * 14 },
      { step_type: 'map', starts: ITEMS, steps: WORKFLOWS },
    ]);
    const books = await audit(cluster, endpoint);
    report({
      scenario: 'workflow-crash',
      workflows: WORKFLOWS,
      steps: WORKFLOWS * 20,
      kills,
      triggers_repeated: repeated,
      approved: tending.approved(),
      sent: tending.sent(),
      ...books,
      snapshots,
      secs: Math.round((performance.now() - began) / 1000),
    });
  },
);

/** Approves and sends what is waited for, through whichever process answers. */
function tend(cluster: Cluster, anApi: (n: number) => ProductProcess | undefined) {
  let isOver = false;
  let approved = 0;
  let sent = 0;
  const round = async (): Promise<void> => {
    const asked = await cluster.rows<{ run_id: string; step_ref: string }>(
      `select a.workflow_run_id as run_id, s.step_ref from workflow_step_approvals a
         join workflow_step_runs s on s.id = a.workflow_step_run_id where a.status = 'pending' limit 50`,
    );
    await Promise.all(
      asked.map(async ({ run_id, step_ref }, n) => {
        const api = anApi(n);
        if (!api) return;
        const where = `/v1/workflow-runs/${run_id}/steps/${step_ref}/approve`;
        const answer = await cluster.call(api, 'POST', where, {}).catch(() => undefined);
        if (answer?.status === 200) approved += 1;
      }),
    );
    const waits = await cluster.rows<{ event_key: string }>(
      `select event_key from event_triggers where status = 'waiting' and trigger_type = 'event' limit 50`,
    );
    await Promise.all(
      waits.map(async ({ event_key }, n) => {
        const api = anApi(n);
        if (!api) return;
        const where = `/v1/events/${event_key}/send`;
        const answer = await cluster
          .call(api, 'POST', where, { payload: { go: true } })
          .catch(() => undefined);
        if (answer?.status === 200) sent += 1;
      }),
    );
  };
  const ended = (async () => {
    while (!isOver) {
      await round();
      await sleep(100);
    }
  })();
  return {
    stop: async () => {
      isOver = true;
      await ended;
    },
    approved: () => approved,
    sent: () => sent,
  };
}

/** Each process dies and comes back, one after the other; how many of each kind. */
async function killInTurn(
  cluster: Cluster,
  alive: ProductProcess[],
): Promise<Record<Mode, number>> {
  const kills = { api: 0, worker: 0, all: 0 };
  const began = performance.now();
  // Worker, API, worker, API: there is one of each at any time.
  const turns = [2, 0, 3, 1];
  for (let n = 0; n < MIN_KILLS || performance.now() - began < KILLING_MS; n += 1) {
    await sleep(full ? 2_000 : 700);
    const at = turns[n % turns.length] ?? 0;
    const victim = alive[at];
    assert.ok(victim);
    await victim.kill();
    kills[victim.mode] += 1;
    alive[at] = await cluster.start(victim.mode);
  }
  return kills;
}
