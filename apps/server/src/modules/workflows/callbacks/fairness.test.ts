// One run that cannot go on, or many that must wait, hold up no other (the lists that loops go through are limited).
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { until } from '../../../../test/until.ts';
import { workflowApp } from '../../../../test/workflow-runs.ts';

/** More than one round looks at. */
const MANY = 201;

let on: Awaited<ReturnType<typeof workflowApp>>;

before(async () => {
  on = await workflowApp({ log_level: 'fatal' });
  await on.job('a');
});
after(() => on.close());

const approval = { step_ref: 'ok', step_type: 'approval', approvers: ['*'] };
const sub = (sub_workflow_slug: string) => ({
  step_ref: 'sub',
  step_type: 'sub_workflow',
  sub_workflow_slug,
});

/** Nothing of this run can be written until the function that is given is called. */
async function spoil(id: string): Promise<() => Promise<unknown>> {
  await on.app.sql(
    `create or replace function spoilt() returns trigger language plpgsql as $$ begin raise exception 'spoilt'; end $$`,
  );
  await on.app.sql(
    `create trigger spoilt before insert on workflow_run_events for each row
       when (new.workflow_run_id = '${id}') execute function spoilt()`,
  );
  return () => on.app.sql('drop trigger spoilt on workflow_run_events');
}

describe('loops over workflow runs', () => {
  it('ring a timer behind a round of timers that cannot ring', async () => {
    const naps = Array.from({ length: MANY }, (_, n) => ({
      step_ref: `nap${n}`,
      step_type: 'sleep',
      sleep_duration_secs: 3_600,
    }));
    await on.workflow('naps', naps);
    await on.workflow('nap', [{ step_ref: 'nap', step_type: 'sleep', sleep_duration_secs: 1 }]);
    const spoilt = await on.trigger('naps');
    const mend = await spoil(spoilt);
    await on.app.sql(
      `update event_triggers set expires_at = now() - interval '1 hour' where workflow_run_id = $1`,
      spoilt,
    );
    await on.reaches(await on.trigger('nap'), 'completed');
    assert.equal((await on.read(spoilt)).status, 'running');
    await mend();
  });

  it('look at a run that waits for room behind a round of runs whose room is full', async () => {
    for (const slug of ['full', 'other'])
      await on.workflow(slug, [approval], { max_concurrent_runs: 1 });
    await on.workflow('wants-full', [sub('full')]);
    await on.workflow('wants-other', [sub('other')]);
    await on.trigger('full');
    const holder = await on.trigger('other');
    const blocked = await on.trigger('wants-full');
    assert.deepEqual(await on.states(blocked), { sub: 'capacity' });
    await on.app.sql(
      `with copies as (
         insert into workflow_runs
         select (jsonb_populate_record(r, jsonb_build_object('id', uuidv7()::text))).*
           from workflow_runs r cross join generate_series(1, ${MANY}) where r.id = $1 returning id)
       insert into workflow_step_runs
       select (jsonb_populate_record(s, jsonb_build_object('id', uuidv7()::text, 'workflow_run_id', c.id))).*
         from workflow_step_runs s cross join copies c where s.workflow_run_id = $1`,
      blocked,
    );
    const waits = await on.trigger('wants-other');
    assert.deepEqual(await on.states(waits), { sub: 'capacity' });
    const canceled = await on.internal('DELETE', `/v1/workflow-runs/${holder}`);
    assert.equal(canceled.status, 200);
    await on.stepReaches(waits, 'sub', 'running');
  });

  it('begin the runs of a large tree that one transaction leaves to others', async () => {
    const four = (slug: string) => [1, 2, 3, 4].map((n) => ({ ...sub(slug), step_ref: `s${n}` }));
    await on.workflow('leaf', [approval]);
    await on.workflow('twig', four('leaf'));
    await on.workflow('branch', four('twig'));
    await on.workflow('tree', four('branch'));
    const top = await on.trigger('tree');
    const tree = `with recursive tree as (
        select * from workflow_runs where id = $1
        union all select r.* from workflow_runs r join tree on r.parent_workflow_run_id = tree.id)`;
    await until('all runs of the tree to begin', async () => {
      const [all] = await on.app.sql<{ runs: number }>(
        `${tree} select count(*)::int as runs from tree where status = 'running'`,
        top,
      );
      return all?.runs === 1 + 4 + 16 + 64;
    });
    const [most] = await on.app.sql<{ begun: number }>(
      `${tree} select count(*)::int as begun from tree group by started_at order by 1 desc limit 1`,
      top,
    );
    assert.ok(most && most.begun <= 51, JSON.stringify(most));
  });

  it('tell a parent of its child whatever often that has failed', async () => {
    await on.workflow('child', [approval]);
    await on.workflow('parent', [sub('child')]);
    const parent = await on.trigger('parent');
    const of = async () =>
      (
        await on.app.sql<{ id: string; news_tries: number }>(
          'select id, news_tries from workflow_runs where parent_workflow_run_id = $1',
          parent,
        )
      )[0];
    const child = (await of())?.id ?? '';
    const mend = await spoil(parent);
    const approved = await on.internal('POST', `/v1/workflow-runs/${child}/steps/ok/approve`, {});
    assert.equal(approved.status, 200);
    await until('a try', async () => (await of())?.news_tries === 1);
    const again = `update workflow_runs set news_due_at = now()`;
    await on.app.sql(`${again}, news_tries = 5000 where id = $1`, child);
    await until('the next try', async () => (await of())?.news_tries === 5_001);
    await mend();
    await on.app.sql(`${again} where id = $1`, child);
    await on.reaches(parent, 'completed');
  });

  it('tell a step of its job whatever often that has failed', async () => {
    const held = Promise.withResolvers<void>();
    on.answers['a'] = async () => {
      await held.promise;
      return { body: {} };
    };
    await on.workflow('one', [{ step_ref: 'a', job_slug: 'a' }]);
    const run = await on.trigger('one');
    const mend = await spoil(run);
    held.resolve();
    const tries = async () =>
      (await on.app.sql<{ tries: number }>('select tries from step_endings'))[0]?.tries;
    await until('a try', async () => (await tries()) === 1);
    await on.app.sql('update step_endings set tries = 5000, due_at = now()');
    await until('the next try', async () => (await tries()) === 5_001);
    await mend();
    await on.app.sql('update step_endings set due_at = now()');
    await on.reaches(run, 'completed');
  });
});
