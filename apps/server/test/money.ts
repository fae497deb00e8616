// Budgets by hand: nothing runs in the background, so every step can be looked at.

import assert from 'node:assert/strict';
import { pauseOverBudget } from '../src/app/over-budget.ts';
import { createLimits, createMoneyUpkeep } from '../src/modules/queue/index.ts';
import { inRunTest } from './in-run.ts';

export async function moneyTest() {
  const on = await inRunTest();
  const { project_id } = on.project;
  const { jobs } = on.app.composition.modules;
  const limits = createLimits({
    db: on.app.composition.hot,
    onBreach: (breaches) => pauseOverBudget({ jobs, onBudgetEvents: () => {} }, breaches),
  });
  const upkeep = createMoneyUpkeep({ db: on.app.composition.hot });

  async function setProject(body: object): Promise<void> {
    const { status, body: reply } = await on.app.call('PUT', '/v1/project-budget', {
      headers: { ...on.app.internal, 'x-project-id': project_id },
      body: { breach_policy: 'wait', ...body },
    });
    assert.equal(status, 200, JSON.stringify(reply));
  }

  async function makeJob(budget: object, settings: object = {}): Promise<string> {
    const job = await on.makeJob(settings);
    await setJob(job, budget);
    return job;
  }

  async function setJob(job: string, budget: object): Promise<void> {
    const { status, body } = await on.call('PUT', `/v1/jobs/${job}/budget`, budget);
    assert.equal(status, 200, JSON.stringify(body));
  }

  async function promote(): Promise<void> {
    const roots = await on.app.sql<{ root_lane_id: number }>(
      'select distinct root_lane_id from run_parked where root_lane_id <> 0',
    );
    for (const { root_lane_id } of roots) while ((await limits.promote(root_lane_id)).more);
  }

  const trigger = async (job: string, count: number, body: object = {}): Promise<string[]> => {
    const ids: string[] = [];
    for (let n = 0; n < count; n++) ids.push(await on.run(job, body));
    return ids;
  };

  /** Ready and waiting. */
  async function standing(job: string): Promise<[ready: number, waiting: number]> {
    const [row] = await on.app.sql<{ ready: number; waiting: number }>(
      `select (select count(*)::int from run_queue q where q.job_id = j.id) as ready,
            (select count(*)::int from run_parked p where p.job_id = j.id) as waiting
       from jobs j where j.slug = $1`,
      job,
    );
    return [row?.ready ?? -1, row?.waiting ?? -1];
  }

  async function executing(count = 100) {
    const worker_id = await on.queue.registerWorker({ hostname: 'money', pid: 1 });
    const runs = await on.queue.claim({ worker_id, limit: count, cursor: '' });
    const started_at = new Date().toISOString();
    await on.queue.mark(
      runs.filter(({ verdict }) => verdict === 'go').map((run) => ({ ...run, started_at })),
    );
    return runs.map((run) => ({
      ...run,
      started_at,
      home: on.as({ run_id: run.id, attempt: run.attempt, claim_seq: run.claim_seq }),
    }));
  }

  const spend = async (
    run: Awaited<ReturnType<typeof executing>>[number] | undefined,
    cost_microusd: number,
  ): Promise<number> => {
    assert.ok(run);
    const { status } = await run.home.post('usage', { provider: 'p', model: 'm', cost_microusd });
    return status;
  };

  const ofProject = async () =>
    (await on.call('GET', '/v1/project-budget')).body as {
      spent_microusd: number;
      reserved_microusd: number;
      remaining_microusd: number | null;
    };
  const events = async () =>
    ((await on.call('GET', '/v1/budget-events')).body.data as { type: string; job_id?: string }[])
      .map(({ type, job_id }) => `${type}${job_id ? ' of a job' : ''}`)
      .toSorted();

  /** As if nothing had been spent, and without budgets. */
  async function clear(): Promise<void> {
    await setProject({});
    for (;;) {
      const open = await on.app.sql<{ id: string }>(
        `select id from job_runs where status in ('delayed','queued','executing','waiting') limit 100`,
      );
      if (open.length === 0) break;
      await on.call('POST', '/v1/runs/bulk-cancel', { run_ids: open.map(({ id }) => id) });
    }
    for (const table of [
      'job_budgets',
      'cost_reservations',
      'cost_days',
      'budget_events',
      'run_usage',
    ])
      await on.app.sql(`delete from ${table}`);
  }

  return {
    on,
    project_id,
    upkeep,
    setProject,
    makeJob,
    setJob,
    promote,
    trigger,
    standing,
    executing,
    spend,
    ofProject,
    events,
    clear,
    close: on.close,
  };
}
