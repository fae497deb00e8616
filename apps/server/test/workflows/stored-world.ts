// The product on a database, as the world around one random workflow after the other: a project whose quota, jobs and event
// keys are as the driver wants them, and a clock that can be made to stand still.
import assert from 'node:assert/strict';
import { projectScope } from '../../src/modules/access/index.ts';
import { insert } from '../../src/modules/workflows/definitions/create-workflow.ts';
import { newSettings } from '../../src/modules/workflows/definitions/settings.ts';
import { createRouting } from '../../src/modules/workflows/canary/routing.ts';
import { judgedAgain } from '../../src/modules/workflows/definitions/steps.ts';
import { defineStep, type StepDefinition } from '../../src/modules/workflows/engine/definition.ts';
import { DEFAULT_LIMITS } from '../../src/modules/workflows/engine/memory-run.ts';
import { createProgression } from '../../src/modules/workflows/progression/progression.ts';
import type { RunKey } from '../../src/modules/workflows/progression/run-lock.ts';
import { insertRun } from '../../src/modules/workflows/starting/start-run.ts';
import * as starting from '../../src/modules/workflows/starting/store.sql.ts';
import type { ClaimedRun } from '../../src/modules/queue/index.ts';
import { testApp } from '../app.ts';

/** What the driver decides about everything outside the run. */
export interface Surroundings {
  readonly quota: 'free' | 'full';
  readonly jobGone: boolean;
  readonly keyTaken: boolean;
  readonly early: boolean;
}
export const ORDINARY: Surroundings = {
  quota: 'free',
  jobGone: false,
  keyTaken: false,
  early: false,
};

/** An event that came before its waiter. */
const EARLY = JSON.stringify({ n: 1, early: true });
/** What a completed run of the job behind cost gates has cost. */
const COST = 200;

export type StoredWorld = Awaited<ReturnType<typeof createStoredWorld>>;

export async function createStoredWorld(settings: Readonly<Record<string, string>> = {}) {
  const app = await testApp({ settings });
  const { queue, operator, endings, jobs } = app.composition.modules;
  const { hot } = app.composition;
  const { project_id } = await app.project();
  const scope = projectScope(project_id);
  const by = { actor_id: 'test', actor_type: 'system' } as const;
  const warnings: string[] = [];
  const deps = {
    queue,
    operator,
    jobs,
    onWarning: (warning: string) => void warnings.push(warning),
  };
  /** For everything that is not the run under test. */
  const others = createProgression({
    route: createRouting(),
    ...deps,
    limits: DEFAULT_LIMITS,
  });
  const base = Date.now();
  let slugs = 0;

  async function makeJob(slug: string): Promise<string> {
    const made = await app.call('POST', '/v1/jobs', {
      headers: { ...app.internal, 'x-project-id': project_id },
      body: { name: slug, slug, endpoint_url: 'http://127.0.0.1:9/x' },
    });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    return made.body.id;
  }

  /** Whatever validation would say: the random cases ask for more than people may. */
  async function makeWorkflow(steps: readonly StepDefinition[]): Promise<string> {
    slugs += 1;
    const settings = newSettings({ name: `w${slugs}`, slug: `w${slugs}` });
    const made = await hot.transaction((tx) =>
      insert(
        { onScheduleChanged: async () => {} },
        tx,
        scope,
        by,
        settings,
        judgedAgain(steps),
        {},
      ),
    );
    return made.row.id;
  }

  async function makeRun(
    workflow_id: string,
    more: { readonly payload: unknown; readonly depth: number } & Partial<
      Parameters<typeof insertRun>[1]
    >,
  ): Promise<RunKey> {
    return hot.transaction(async (tx) => {
      const version = await starting.findRunVersion(tx, { project_id, workflow_id, version: 1 });
      assert.ok(version);
      const graph = await others.graphs.of(tx, {
        project_id,
        workflow_id,
        version: 1,
        step_overrides: [],
      });
      const { depth, ...rest } = more;
      const workflow_run_id = await insertRun(tx, {
        project_id,
        workflow_id,
        version,
        graph,
        triggered_by: 'manual',
        created_by: 'test',
        tags: {},
        lineage_depth: 0,
        parent: { workflow_run_id: null, step_run_id: null, depth },
        ...rest,
        payload: more.payload as never,
      });
      assert.ok(workflow_run_id);
      return { project_id, workflow_run_id };
    });
  }

  const job = await makeJob('job');
  const dear = await makeJob('dear');
  // Its output as a child run is {n: what came}.
  const child = await makeWorkflow([
    defineStep({
      step_ref: 'n',
      step_type: 'wait_for_event',
      event_key: 'child-{{workflow_run_id}}',
      event_timeout_secs: 2_592_000,
    }),
  ]);
  // So that a limit of one is reached, whatever the run under test has.
  const later = new Date(base + 20 * 86_400_000).toISOString();
  const filler = await app.call('POST', '/v1/jobs/job/trigger', {
    headers: { ...app.internal, 'x-project-id': project_id },
    body: { scheduled_at: later },
  });
  assert.equal(filler.status, 201, JSON.stringify(filler.body));
  const fillerRun = await makeRun(child, { payload: null, depth: 0 });
  await hot.transaction((tx) => others.begin(tx, fillerRun));

  const worker_id = await queue.registerWorker({ hostname: 'test', pid: 1 });
  const claims = new Map<string, ClaimedRun>();
  /** Takes every run that is ready, as a worker does. */
  async function claim(): Promise<void> {
    for (;;) {
      const found = await queue.claim({ worker_id, limit: 100, cursor: '' });
      for (const one of found) {
        assert.equal(one.verdict, 'go');
        claims.set(one.id, one);
      }
      if (found.length < 100) return;
    }
  }
  async function settle(
    run_id: string,
    end: { readonly to: string; readonly result?: unknown; readonly error?: string | null },
  ): Promise<void> {
    if (!claims.has(run_id)) await claim();
    const claimed = claims.get(run_id);
    assert.ok(claimed, `nobody can claim ${run_id}`);
    claims.delete(run_id);
    const { id, created_at, claim_seq } = claimed;
    const settled = await queue.settle([
      {
        id,
        created_at,
        claim_seq,
        to: end.to,
        started_at: new Date(base).toISOString(),
        ...(end.error == null ? {} : { error: end.error }),
        ...(end.result === undefined ? {} : { result: JSON.stringify(end.result) }),
      },
    ]);
    assert.ok(settled.has(run_id), `the run ${run_id} was not settled as ${end.to}`);
    if (claimed.job_id === dear && end.to === 'completed') await pay(run_id);
  }
  const pay = (run_id: string) =>
    app.sql(
      `insert into run_usage (run_id, provider, model, cost_microusd) values ($1, 'p', 'm', $2)`,
      run_id,
      COST,
    );

  const paid = await app.call('POST', '/v1/jobs/dear/trigger', {
    headers: { ...app.internal, 'x-project-id': project_id },
    body: {},
  });
  await settle(paid.body.id, { to: 'completed', result: {} });

  let clock: number | undefined;
  /** Milliseconds from the start of this world. The first time makes the clock stand still. */
  async function setClock(now: number): Promise<void> {
    if (now === clock) return;
    if (clock === undefined) {
      await app.sql('create table test_clock (at timestamptz not null)');
      await app.sql('insert into test_clock values (now())');
      await app.sql('grant select on test_clock to public');
      await app.sql(`create or replace function strait_now() returns timestamptz language sql stable parallel safe
        return (select at from public.test_clock)`);
    }
    clock = now;
    await app.sql('update test_clock set at = to_timestamp($1::float8 / 1000)', base + now);
  }

  let around = ORDINARY;
  async function surround(wanted: Surroundings): Promise<void> {
    if (wanted.quota !== around.quota) {
      const limit = wanted.quota === 'full' ? 1 : 0;
      await app.sql(
        `insert into project_quotas (project_id, max_queued_runs) values ($1, $2)
         on conflict (project_id) do update set max_queued_runs = excluded.max_queued_runs`,
        project_id,
        limit,
      );
      await app.sql('delete from queued_room where project_id = $1', project_id);
      await app.sql('update workflows set max_concurrent_runs = $2 where id = $1', child, limit);
    }
    if (wanted.jobGone !== around.jobGone) {
      await app.sql('update jobs set enabled = $1', !wanted.jobGone);
      await app.sql('update workflows set enabled = $2 where id = $1', child, !wanted.jobGone);
    }
    if (wanted.keyTaken !== around.keyTaken) {
      if (wanted.keyTaken)
        await app.sql(
          `insert into event_triggers (event_key, project_id, source_type, trigger_type, timeout_secs, expires_at)
           values ('shared', $1, 'job_run', 'event', 60, $2)`,
          project_id,
          later,
        );
      else
        await app.sql(
          `delete from event_triggers where project_id = $1 and source_type = 'job_run'`,
          project_id,
        );
    }
    around = wanted;
  }
  let hasEarly = false;
  /** One early event for every key the run may wait for, or none. */
  async function bringEarly(isWanted: boolean, keys: readonly string[]): Promise<void> {
    if (!isWanted) {
      if (hasEarly) await app.sql('delete from early_events');
    } else
      await app.sql(
        `insert into early_events (project_id, event_key, payload, sent_by, expires_at)
         select $1, k, $2::jsonb, 'early', $3::timestamptz from unnest($4::text[]) k
          where not exists (select from early_events e where e.event_key = k)`,
        project_id,
        EARLY,
        later,
        keys,
      );
    hasEarly = isWanted;
  }

  return {
    app,
    hot,
    endings,
    deps,
    others,
    base,
    project_id,
    scope,
    by,
    job,
    dear,
    child,
    warnings,
    makeWorkflow,
    makeRun,
    claim,
    settle,
    setClock,
    surround,
    bringEarly,
    async close(): Promise<void> {
      await hot.transaction(async (tx) => {
        const run = await others.open(tx, fillerRun);
        assert.ok(run);
        await others.deliver(tx, run, { kind: 'cancel', run_error: 'done', step_error: 'done' });
      });
      await queue.removeWorker(worker_id);
      await app.close();
    },
  };
}
