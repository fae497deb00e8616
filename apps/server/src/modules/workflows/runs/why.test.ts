import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { until } from '../../../../test/until.ts';
import { workflowApp } from '../../../../test/workflow-runs.ts';

let on: Awaited<ReturnType<typeof workflowApp>>;
let held: PromiseWithResolvers<void>;

before(async () => {
  on = await workflowApp({ log_level: 'warn' });
  for (const slug of ['a', 'bad', 'held']) await on.job(slug);
  on.answers['bad'] = () => ({ status: 400, body: { no: true } });
  held = Promise.withResolvers();
  on.answers['held'] = async () => {
    await held.promise;
    return { body: {} };
  };
});
after(async () => {
  held.resolve();
  await on.close();
});

const job = (step_ref: string, job_slug: string, more: object = {}) => ({
  step_ref,
  job_slug,
  ...more,
});

interface Blocker {
  readonly kind: string;
  readonly message: string;
  readonly step_ref?: string;
  readonly until?: string;
  readonly holders?: readonly string[];
  readonly approvers?: readonly string[];
  readonly see?: string;
  readonly unblock?: { readonly method: string; readonly path: string; readonly body?: unknown };
}

async function why(id: string, step?: string) {
  const path = `/v1/workflow-runs/${id}${step === undefined ? '' : `/steps/${step}`}/why`;
  const { status, body } = await on.internal('GET', path);
  assert.equal(status, 200, JSON.stringify(body));
  return body as { status: string; blockers: readonly Blocker[]; unfinished_steps: number };
}
const kinds = async (id: string, step?: string) =>
  (await why(id, step)).blockers.map(({ kind }) => kind);
async function only(id: string, step?: string): Promise<Blocker> {
  const { blockers } = await why(id, step);
  const [blocker] = blockers;
  assert.ok(blocker && blockers.length === 1, JSON.stringify(blockers));
  return blocker;
}
/** Makes the call that an answer names. */
async function follow({ unblock }: Blocker) {
  assert.ok(unblock);
  const { status, body } = await on.internal(unblock.method, unblock.path, unblock.body);
  assert.ok(status === 200 || status === 201, `${unblock.path}: ${JSON.stringify(body)}`);
}
/** Nothing is in its way any more; whoever looks after waiting steps may have started it by now. */
async function goesOn(id: string, step: string, started: string): Promise<void> {
  const { kind } = await only(id, step);
  assert.ok(kind === 'moving' || kind === started, kind);
}
const cancel = (id: string) => on.internal('DELETE', `/v1/workflow-runs/${id}`);

describe('why a step does not go on', () => {
  it('names the steps it waits for, and of the run only what others wait for', async () => {
    await on.workflow('chained', [
      job('first', 'held'),
      {
        step_ref: 'ok',
        step_type: 'approval',
        approvers: ['ann', 'role:lead'],
        approval_timeout_secs: 600,
      },
      job('last', 'a', { depends_on: ['first', 'ok'] }),
    ]);
    const id = await on.trigger('chained');
    await on.stepReaches(id, 'ok', 'approval');
    const { status, blockers } = await why(id, 'last');
    assert.equal(status, 'waiting');
    assert.deepEqual(
      blockers.map(({ kind, message, see }) => [kind, message, see]),
      [
        [
          'dependency',
          'waits for step first, which is running',
          `/v1/workflow-runs/${id}/steps/first/why`,
        ],
        [
          'dependency',
          'waits for step ok, which is waiting',
          `/v1/workflow-runs/${id}/steps/ok/why`,
        ],
      ],
    );
    // What runs cannot be skipped, what waits can.
    assert.deepEqual(
      blockers.map(({ unblock }) => unblock?.path),
      [undefined, `/v1/workflow-runs/${id}/steps/ok/skip`],
    );
    const approval = await only(id, 'ok');
    assert.deepEqual([approval.kind, approval.approvers], ['approval', ['ann', 'role:lead']]);
    assert.match(approval.message, /ann, role:lead/);
    assert.ok(Date.parse(approval.until ?? '') > Date.now());
    assert.equal(approval.unblock?.path, `/v1/workflow-runs/${id}/steps/ok/approve`);

    const ofRun = await why(id);
    assert.deepEqual(
      ofRun.blockers.map(({ kind, step_ref }) => [kind, step_ref]),
      [
        ['job_run', 'first'],
        ['approval', 'ok'],
      ],
    );
    assert.equal(ofRun.unfinished_steps, 3);
    const running = await only(id, 'first');
    const { job_run_id } = (await on.steps(id))['first'];
    assert.deepEqual([running.holders, running.see], [[job_run_id], `/v1/runs/${job_run_id}/why`]);
    assert.equal((await on.internal('GET', running.see ?? '')).status, 200);
    await follow(blockers[1] as Blocker);
    assert.deepEqual(await kinds(id, 'last'), ['dependency']);
    await cancel(id);
  });

  it('names the limit of the run it meets, and who holds it, as the engine does', async () => {
    const steps = (slots: number) => [
      job('h1', 'held', { concurrency_key: 'k' }),
      job('h2', 'held', { concurrency_key: 'k' }),
      ...(slots > 0 ? [job('h3', 'a')] : []),
    ];
    await on.workflow('by-key', steps(0));
    const byKey = await on.trigger('by-key');
    await on.stepReaches(byKey, 'h1', 'running');
    const key = await only(byKey, 'h2');
    assert.deepEqual([key.kind, key.holders, key.unblock], ['key_limit', ['h1'], undefined]);
    assert.deepEqual(await kinds(byKey), ['job_run', 'key_limit']);
    await cancel(byKey);

    await on.workflow('by-slots', steps(1), { max_parallel_steps: 1 });
    const bySlots = await on.trigger('by-slots');
    await on.stepReaches(bySlots, 'h1', 'running');
    const limit = await only(bySlots, 'h3');
    assert.deepEqual([limit.kind, limit.holders], ['parallel_limit', ['h1']]);
    const explained = await on.internal('GET', `/v1/workflow-runs/${bySlots}/explain?step_ref=h3`);
    assert.equal(explained.body.data[0].explanation, limit.message);
    await cancel(bySlots);

    const large = ['l1', 'l2', 'l3', 'l4', 'l5', 'l6'];
    await on.workflow(
      'by-class',
      large.map((ref) => job(ref, 'held', { resource_class: 'large' })),
    );
    const byClass = await on.trigger('by-class');
    await on.stepReaches(byClass, 'l5', 'running');
    const full = await only(byClass, 'l6');
    assert.deepEqual([full.kind, full.holders], ['class_limit', large.slice(0, 5)]);
    await cancel(byClass);
  });

  it('says that the run is paused and by whom, but not to what goes on alone', async () => {
    await on.workflow('paused', [
      { step_ref: 'told', step_type: 'wait_for_event', event_key: 'paused/{{payload.n}}' },
      job('after', 'a', { depends_on: ['told'] }),
    ]);
    const id = await on.trigger('paused', { payload: { n: 1 } });
    await on.stepReaches(id, 'told', 'event');
    await on.internal('POST', `/v1/workflow-runs/${id}/pause`);
    assert.deepEqual(await kinds(id, 'told'), ['waiting_event']);
    assert.deepEqual(await kinds(id, 'after'), ['run_paused', 'dependency']);
    assert.deepEqual(await kinds(id), ['run_paused', 'waiting_event']);
    const event = await only(id, 'told');
    assert.match(event.until ?? '', /Z$/);
    assert.equal(event.unblock?.path, `/v1/events/${encodeURIComponent('paused/1')}/send`);
    await on.internal('POST', `/v1/workflow-runs/${id}/resume`);
    await on.internal('POST', `/v1/workflow-runs/${id}/pause`);
    const [paused] = (await why(id)).blockers;
    assert.match(paused?.message ?? '', /^the run was paused by \S+$/);
    await follow(paused as Blocker);
    assert.deepEqual(await kinds(id), ['waiting_event']);
    await cancel(id);
  });

  it('says until when a step sleeps, or when it is tried again', async () => {
    await on.workflow('later', [
      { step_ref: 'nap', step_type: 'sleep', sleep_duration_secs: 3600 },
      job('again', 'bad', { retry_max_attempts: 3, retry_initial_delay_secs: 600 }),
    ]);
    const id = await on.trigger('later');
    await on.stepReaches(id, 'again', 'retry');
    const nap = await only(id, 'nap');
    assert.equal(nap.kind, 'sleep');
    assert.ok(Date.parse(nap.until ?? '') > Date.now() + 3_000_000);
    const again = await only(id, 'again');
    assert.equal(again.kind, 'retry_backoff');
    assert.match(again.message, /^attempt 2 is due at /);
    assert.equal(again.until, (await on.steps(id))['again'].next_retry_at);
    await follow(nap);
    assert.equal((await why(id, 'nap')).status, 'skipped');
    await cancel(id);
  });

  it('points at the child run, and at the children of a map', async () => {
    await on.workflow('kid', [job('one', 'held')]);
    await on.workflow('parents', [
      { step_ref: 'sub', step_type: 'sub_workflow', sub_workflow_slug: 'kid' },
      {
        step_ref: 'all',
        step_type: 'map',
        job_slug: 'held',
        map_items: [1, 2, 3],
        map_max_parallel: 2,
      },
    ]);
    const id = await on.trigger('parents');
    await on.stepReaches(id, 'all', 'running');
    const child = await only(id, 'sub');
    assert.equal(child.kind, 'child_run');
    assert.match(child.see ?? '', /^\/v1\/workflow-runs\/.+\/why$/);
    const below = await on.internal('GET', child.see ?? '');
    assert.deepEqual(
      below.body.blockers.map(({ kind }: Blocker) => kind),
      ['job_run'],
    );
    const map = await only(id, 'all');
    assert.deepEqual([map.kind, map.message], ['map', '0 of 3 children have ended']);
    const listed = await on.internal('GET', map.see ?? '');
    assert.deepEqual(
      listed.body.data.map(({ status }: { status: string }) => status),
      ['running', 'running', 'pending'],
    );
    assert.deepEqual(
      map.holders,
      listed.body.data.slice(0, 2).map(({ job_run_id }: { job_run_id: string }) => job_run_id),
    );
    await cancel(id);
  });

  it('names the quota it waits for, with the call that makes room', async () => {
    await on.workflow('single', [job('one', 'held')], { max_concurrent_runs: 1 });
    await on.workflow('wants', [
      { step_ref: 'sub', step_type: 'sub_workflow', sub_workflow_slug: 'single' },
    ]);
    const holder = await on.trigger('single');
    const id = await on.trigger('wants');
    await on.stepReaches(id, 'sub', 'capacity');
    const full = await only(id, 'sub');
    assert.deepEqual([full.kind, full.holders], ['workflow_limit', [holder]]);
    await follow(full);
    // Room for one is there now: what looks after waiting steps starts it.
    await goesOn(id, 'sub', 'child_run');
    await cancel(id);
    await cancel(holder);

    await on.workflow('waits', [
      { step_ref: 'w1', step_type: 'wait_for_event', event_key: 'quota-1' },
      { step_ref: 'w2', step_type: 'wait_for_event', event_key: 'quota-2' },
    ]);
    const quotas = `/v1/projects/${on.project.project_id}/quotas`;
    await on.internal('PUT', quotas, { max_active_event_triggers: 1, timezone: 'Europe/Berlin' });
    const waits = await on.trigger('waits');
    await on.stepReaches(waits, 'w2', 'capacity');
    const event = await only(waits, 'w2');
    assert.equal(event.kind, 'event_quota');
    await follow(event);
    const { body } = await on.internal('GET', quotas);
    assert.deepEqual([body.max_active_event_triggers, body.timezone], [2, 'Europe/Berlin']);
    await goesOn(waits, 'w2', 'waiting_event');
    await cancel(waits);

    await on.internal('PUT', quotas, { max_queued_runs: 1 });
    await on.job('later');
    const late = await on.internal('POST', '/v1/jobs/later/trigger', {
      scheduled_at: new Date(Date.now() + 3_600_000).toISOString(),
    });
    assert.equal(late.status, 201, JSON.stringify(late.body));
    await on.workflow('queues', [job('one', 'held')]);
    const queues = await on.trigger('queues');
    await on.stepReaches(queues, 'one', 'capacity');
    const queue = await only(queues, 'one');
    assert.equal(queue.kind, 'queue_quota');
    await follow(queue);
    await goesOn(queues, 'one', 'job_run');
    await on.internal('PUT', quotas, {});
    await cancel(queues);
    await on.internal('DELETE', `/v1/runs/${late.body.id}`);
  });

  it('says how it ended, and offers only the retry that would be accepted', async () => {
    await on.workflow('ends', [
      job('good', 'a'),
      job('worse', 'bad', { depends_on: ['good'], on_failure: 'skip_dependents' }),
      job('behind', 'a', { depends_on: ['worse'] }),
    ]);
    const id = await on.trigger('ends');
    await on.reaches(id, 'failed');
    const worse = await only(id, 'worse');
    assert.equal(worse.kind, 'ended');
    assert.match(worse.message, /^the step is failed: /);
    assert.equal(worse.unblock?.path, `/v1/workflow-runs/${id}/steps/worse/retry`);
    // Behind a failure it could never start: the engine refuses to reset it.
    assert.equal((await only(id, 'behind')).unblock, undefined);
    assert.equal((await only(id, 'good')).unblock, undefined);
    const [run, culprit, ...others] = (await why(id)).blockers;
    assert.ok(run);
    assert.deepEqual([run.kind, run.unblock?.path], ['ended', `/v1/workflow-runs/${id}/retry`]);
    assert.match(run.message, /^the run is failed: step worse failed/);
    // What made it fail, and nothing else, says the same as the step itself.
    assert.deepEqual([culprit, others], [{ ...worse, step_ref: 'worse' }, []]);
    assert.equal((await on.internal('GET', worse.see ?? '')).body.status, 'dead_letter');
    assert.equal((await on.internal('GET', `/v1/workflow-runs/${id}/steps/no/why`)).status, 404);
    await follow(run);
    await follow(worse);
    await on.reaches(id, 'failed');
    assert.equal((await on.steps(id))['worse'].attempt, 2);
  });

  it('names every step that made the run fail, each with the call that repairs it', async () => {
    on.answers['shaky'] = () => ({ status: 400, body: {} });
    await on.job('shaky');
    await on.workflow('two-bad', [
      job('b1', 'shaky', { on_failure: 'skip_dependents' }),
      job('b2', 'bad', { on_failure: 'continue' }),
      { ...job('b3', 'shaky'), step_type: 'map', map_items: [1], on_failure: 'skip_dependents' },
      job('b4', 'a', { depends_on: ['b1'] }),
    ]);
    const id = await on.trigger('two-bad');
    await on.reaches(id, 'failed');
    const [, ...steps] = (await why(id)).blockers;
    assert.deepEqual(
      steps.map(({ step_ref }) => step_ref),
      ['b1', 'b3'],
    );
    assert.match(steps[1]?.message ?? '', /1 of 1 children failed/);
    assert.equal((await on.internal('GET', steps[1]?.see ?? '')).body.data.length, 1);
    await on.workflow('above-bad', [
      { step_ref: 'sub', step_type: 'sub_workflow', sub_workflow_slug: 'two-bad' },
    ]);
    const above = await on.trigger('above-bad');
    await on.reaches(above, 'failed');
    const { see = '' } = (await why(above)).blockers[1] ?? {};
    const below = (await on.internal('GET', see)).body.blockers;
    assert.deepEqual(
      below.map((one: Blocker) => one.step_ref),
      [undefined, 'b1', 'b3'],
    );
    delete on.answers['shaky'];
    for (const step of steps) await follow(step);
    await on.reaches(id, 'completed');
    assert.deepEqual(await on.states(id), {
      b1: 'completed',
      b2: 'failed',
      b3: 'completed',
      b4: 'completed',
    });
  });

  it('says that a run is being undone', async () => {
    const release = Promise.withResolvers<void>();
    on.answers['undo'] = async () => {
      await release.promise;
      return { body: {} };
    };
    const compensation_job_id = await on.job('undo');
    await on.workflow('undone', [
      job('done', 'a', { compensation_job_id }),
      job('worse', 'bad', { depends_on: ['done'] }),
    ]);
    const id = await on.trigger('undone');
    await on.reaches(id, 'failed');
    await on.internal('POST', `/v1/workflow-runs/${id}/compensate`);
    const { kind, see = '' } = await only(id);
    assert.equal(kind, 'compensation');
    assert.equal((await on.internal('GET', see)).status, 200);
    release.resolve();
    await until('the run to be undone', async () => (await why(id)).status === 'compensated');
    const { blockers } = await why(id);
    assert.deepEqual(
      blockers.map(({ kind, step_ref, unblock }) => [kind, step_ref, unblock]),
      [
        ['ended', undefined, undefined],
        ['ended', 'worse', undefined],
      ],
    );
  });

  it('follows a run from one obstacle to the next until nothing is left', async () => {
    await on.workflow('through', [
      { step_ref: 'nap', step_type: 'sleep', sleep_duration_secs: 1 },
      job('work', 'a', { depends_on: ['nap'] }),
    ]);
    const id = await on.trigger('through');
    await until('the run to have ended', async () => (await kinds(id))[0] === 'ended');
    assert.equal((await only(id)).message, 'the run is completed');
  });
});
