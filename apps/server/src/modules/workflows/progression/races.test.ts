// Several at once on one workflow run, on the database: each of these went wrong in the original (workflow-semantics §27).
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createStoredWorld, type StoredWorld } from '../../../../test/workflows/stored-world.ts';
import { createEndingCallbacks } from '../callbacks/endings.ts';
import { createNews } from '../callbacks/news.ts';
import { defineStep, type StepInput } from '../engine/definition.ts';
import type { Event } from '../engine/facts.ts';
import type { RunKey } from './run-lock.ts';

let world: StoredWorld;
let stage: ReturnType<typeof setUp>;

before(async () => {
  world = await createStoredWorld({ DB_MAX_CONNS: '40' });
  stage = setUp(world);
});
after(() => world.close());

function setUp({ hot, app, others, endings, makeWorkflow, makeRun, project_id }: StoredWorld) {
  const troubles: unknown[] = [];
  const deps = { db: hot, progression: others, onError: (error: unknown) => troubles.push(error) };
  /** The callbacks of one process. */
  const process = () => ({
    endings: createEndingCallbacks({ ...deps, endings }),
    news: createNews(deps),
  });
  const workflow = (...steps: StepInput[]) => makeWorkflow(steps.map(defineStep));
  async function start(workflow_id: string): Promise<RunKey> {
    const key = await makeRun(workflow_id, { payload: null, depth: 0 });
    await hot.transaction((tx) => others.begin(tx, key));
    return key;
  }
  const deliver = (key: RunKey, event: Event) =>
    hot.transaction(async (tx) => {
      const run = await others.open(tx, key);
      assert.ok(run);
      return (await others.deliver(tx, run, event)).kind;
    });
  const steps = async ({ workflow_run_id }: RunKey) => {
    const rows = await app.sql<{
      step_ref: string;
      status: string;
      error: string | null;
      job_run_id: string;
      wait_id: string;
      child_run_id: string;
    }>('select * from workflow_step_runs where workflow_run_id = $1', workflow_run_id);
    return Object.fromEntries(rows.map((row) => [row.step_ref, row]));
  };
  const statusOf = async ({ workflow_run_id }: RunKey) =>
    (
      await app.sql<{ status: string }>(
        'select status from workflow_runs where id = $1',
        workflow_run_id,
      )
    )[0]?.status;
  const below = (workflow_run_id: string) =>
    app.sql<{ id: string; status: string; depth: number }>(
      `with recursive tree as (select * from workflow_runs where id = $1
         union all select r.* from workflow_runs r join tree on r.parent_workflow_run_id = tree.id)
       select id, status, depth from tree order by depth, id`,
      workflow_run_id,
    );
  const child = (workflow_run_id: string): RunKey => ({ project_id, workflow_run_id });
  return { troubles, process, workflow, start, deliver, steps, statusOf, below, child };
}

const job = (step_ref: string, ...depends_on: string[]): StepInput => ({
  step_ref,
  depends_on,
  job_id: world.job,
});
const approval = (step_ref: string, more: Partial<StepInput> = {}): StepInput => ({
  step_ref,
  step_type: 'approval',
  approval_approvers: ['ann'],
  ...more,
});
const sub = (step_ref: string, sub_workflow_id: string): StepInput => ({
  step_ref,
  step_type: 'sub_workflow',
  sub_workflow_id,
});
const REPEATS = process.env['STRAIT_SCENARIOS'] === 'full' ? 200 : 50;
const AT_ONCE = 10;

describe('races', () => {
  it('two siblings that end together start their join once, whoever hears of them', async () => {
    const id = await stage.workflow(job('a'), job('b'), job('join', 'a', 'b'));
    const one = stage.process();
    const two = stage.process();
    for (let round = 0; round < REPEATS / AT_ONCE; round += 1) {
      const keys = await Promise.all(Array.from({ length: AT_ONCE }, () => stage.start(id)));
      const all = await Promise.all(keys.map(stage.steps));
      await world.claim();
      let isOver = false;
      const ends = all.flatMap(({ a, b }) => {
        assert.ok(a && b);
        return [a, b].map(({ job_run_id }) => world.settle(job_run_id, { to: 'completed' }));
      });
      const settling = Promise.all(ends).then(() => (isOver = true));
      const loop = async ({ endings }: typeof one): Promise<void> => {
        for (;;) {
          const isLast = isOver;
          if (!(await endings.follow()).again && isLast) return;
        }
      };
      await Promise.all([settling, loop(one), loop(two)]);
    }
    const rows = await world.app.sql<{ runs: number; status: string }>(
      `select s.status, (select count(*) from job_runs j where j.workflow_step_run_id = s.id)::int as runs
         from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id
        where r.workflow_id = $1 and s.step_ref = 'join'`,
      id,
    );
    assert.deepEqual(stage.troubles, []);
    assert.equal(rows.length, REPEATS);
    for (const row of rows) assert.deepEqual(row, { status: 'running', runs: 1 });
    await cancelAll();
  });

  it('fifty triggers of a workflow that may have three runs start three', async () => {
    const id = await stage.workflow(approval('ok'));
    await world.app.sql('update workflows set max_concurrent_runs = 3 where id = $1', id);
    const headers = { ...world.app.internal, 'x-project-id': world.project_id };
    const answers = await Promise.all(
      Array.from({ length: 50 }, () =>
        world.app.call('POST', `/v1/workflows/${id}/trigger`, { headers, body: {} }),
      ),
    );
    const counts = Map.groupBy(answers, ({ status }) => status);
    assert.deepEqual([counts.get(201)?.length, counts.get(409)?.length], [3, 47]);
    await cancelAll();
  });

  it('a pause and the end of the last step: the run completes either way, and nothing is stuck', async () => {
    const id = await stage.workflow(job('a'));
    const { operations } = world.app.composition.modules.workflowRuns;
    const { endings } = stage.process();
    const seen = new Set<string>();
    for (let round = 0; round < 30; round += 1) {
      const key = await stage.start(id);
      const { a } = await stage.steps(key);
      await world.settle(a?.job_run_id ?? '', { to: 'completed' });
      const pause = async () => {
        // Sometimes a moment later, so that both orders come about.
        for (let turn = 0; turn < round % 6; turn += 1) await stage.statusOf(key);
        return operations.pause(world.scope, world.by, key.workflow_run_id, false).then(
          () => 'paused',
          () => 'refused',
        );
      };
      const [answer] = await Promise.all([pause(), endings.follow()]);
      seen.add(answer);
      assert.equal(await stage.statusOf(key), 'completed');
    }
    assert.deepEqual(stage.troubles, []);
    console.log(`a pause against an end: ${[...seen].join(' and ')}`);
  });

  it('of an approval, its timeout and a cancel one wins', async () => {
    const id = await stage.workflow(
      approval('ok', { approval_timeout_secs: 1 }),
      job('then', 'ok'),
    );
    for (let round = 0; round < 20; round += 1) {
      const key = await stage.start(id);
      const { ok } = await stage.steps(key);
      const approval_id = ok?.wait_id ?? '';
      const answers = await Promise.all([
        stage.deliver(key, { kind: 'approved', step_ref: 'ok', approval_id, actor: 'ann' }),
        stage.deliver(key, { kind: 'approval_timed_out', step_ref: 'ok', approval_id }),
        stage.deliver(key, { kind: 'cancel', run_error: 'no', step_error: 'no' }),
      ]);
      // The cancel may come second, to a run that the approval let go on.
      assert.equal(answers.slice(0, 2).filter((kind) => kind === 'changes').length <= 1, true);
      const [row] = await world.app.sql<{ status: string }>(
        'select status from workflow_step_approvals where id = $1',
        approval_id,
      );
      const step = (await stage.steps(key))['ok']?.status;
      const together: Readonly<Record<string, string>> = {
        approved: 'completed',
        timed_out: 'failed',
        canceled: 'canceled',
      };
      assert.equal(step, together[row?.status ?? '']);
      assert.notEqual(await stage.statusOf(key), 'running');
    }
  });

  it('of an event, its timeout and a cancel one wins', async () => {
    const wait = {
      step_ref: 'e',
      step_type: 'wait_for_event',
      event_key: 'k-{{workflow_run_id}}',
    } as const;
    const id = await stage.workflow(wait);
    for (let round = 0; round < 20; round += 1) {
      const key = await stage.start(id);
      const trigger_id = (await stage.steps(key))['e']?.wait_id ?? '';
      const about = { step_ref: 'e', trigger_id };
      await Promise.all([
        stage.deliver(key, { kind: 'event_received', ...about, payload: 1, sent_by: 'x' }),
        stage.deliver(key, { kind: 'event_timed_out', ...about }),
        stage.deliver(key, { kind: 'cancel', run_error: 'no', step_error: 'no' }),
      ]);
      const [row] = await world.app.sql<{ status: string }>(
        'select status from event_triggers where id = $1',
        trigger_id,
      );
      const together: Readonly<Record<string, string>> = {
        received: 'completed',
        timed_out: 'failed',
        canceled: 'canceled',
      };
      assert.equal(await stage.statusOf(key), together[row?.status ?? '']);
    }
  });

  it('a parent that is canceled while its child goes on as a new run takes that along', async () => {
    const again = await stage.workflow(job('a'), {
      step_ref: 'next',
      step_type: 'continue_as_new',
      depends_on: ['a'],
    });
    const id = await stage.workflow(sub('s', again));
    const { endings } = stage.process();
    for (let round = 0; round < 20; round += 1) {
      const key = await stage.start(id);
      const first = (await stage.steps(key))['s']?.child_run_id ?? '';
      const { a } = await stage.steps(stage.child(first));
      await world.settle(a?.job_run_id ?? '', { to: 'completed' });
      await Promise.all([
        endings.follow(),
        stage.deliver(key, { kind: 'cancel', run_error: 'no', step_error: 'no' }),
      ]);
      const live = (await stage.below(key.workflow_run_id)).filter(
        ({ status }) => status === 'running',
      );
      assert.deepEqual(live, []);
    }
    assert.deepEqual(stage.troubles, []);
    await endings.follow();
  });
});

describe('trees of runs', () => {
  const LEVELS = 11;
  async function tree(): Promise<RunKey> {
    let id = await stage.workflow(approval('ok'));
    for (let level = 1; level < LEVELS; level += 1) id = await stage.workflow(sub('s', id));
    return stage.start(id);
  }
  const allNews = async () => {
    const { news } = stage.process();
    while ((await news.follow()).again);
  };

  it('a cancel at the top reaches the bottom of eleven levels', async () => {
    const key = await tree();
    assert.equal((await stage.below(key.workflow_run_id)).length, LEVELS);
    await stage.deliver(key, { kind: 'cancel', run_error: 'no', step_error: 'no' });
    const runs = await stage.below(key.workflow_run_id);
    assert.deepEqual(new Set(runs.map(({ status }) => status)), new Set(['canceled']));
    const left = await world.app.sql(
      `select from workflow_step_approvals where status = 'pending' and workflow_run_id = any ($1)`,
      runs.map(({ id }) => id),
    );
    assert.equal(left.length, 0);
    await allNews();
  });

  it('a cancel at the bottom fails every run above', async () => {
    const key = await tree();
    const runs = await stage.below(key.workflow_run_id);
    const bottom = stage.child(runs.at(-1)?.id ?? '');
    await stage.deliver(bottom, { kind: 'cancel', run_error: 'no', step_error: 'no' });
    await allNews();
    const now = (await stage.below(key.workflow_run_id)).map(({ status }) => status);
    assert.deepEqual(now, [...Array<string>(LEVELS - 1).fill('failed'), 'canceled']);
    assert.deepEqual(stage.troubles, []);
  });

  it('eleven runs below one another are the limit: the twelfth fails, and with it all', async () => {
    const id = await stage.workflow(approval('ok'));
    // It calls itself, which definitions may.
    await world.app.sql(
      `update workflow_version_steps v set step_type = 'sub_workflow', sub_workflow_id = $1
         from workflow_versions w where w.id = v.workflow_version_id and w.workflow_id = $1`,
      id,
    );
    const key = await stage.start(id);
    await allNews();
    const runs = await stage.below(key.workflow_run_id);
    assert.deepEqual(
      runs.map(({ depth, status }) => `${depth} ${status}`),
      Array.from({ length: 11 }, (_, depth) => `${depth} failed`),
    );
    const bottom = await stage.steps(stage.child(runs.at(-1)?.id ?? ''));
    assert.equal(bottom['ok']?.error, 'max nesting depth exceeded');
  });
});

async function cancelAll(): Promise<void> {
  const live = await world.app.sql<{ id: string }>(
    `select r.id from workflow_runs r where r.status = 'running' and r.workflow_id <> $1`,
    world.child,
  );
  for (const { id } of live)
    await stage.deliver(stage.child(id), { kind: 'cancel', run_error: 'no', step_error: 'no' });
}
