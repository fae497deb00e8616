// A tree of runs that is paused as a whole, through the API, while nothing goes on by itself: what has not begun, and what
// continues as new just then, is paused too.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { untilSomebodyWaits } from '../../../../test/lock-waits.ts';
import { createStoredWorld, type StoredWorld } from '../../../../test/workflows/stored-world.ts';
import { createEndingCallbacks } from '../callbacks/endings.ts';

let world: StoredWorld;
before(async () => {
  world = await createStoredWorld();
});
after(() => world.close());

async function call(method: string, path: string, body?: unknown) {
  const headers = { ...world.app.internal, 'x-project-id': world.project_id };
  const answer = await world.app.call(method, path, { headers, body });
  assert.ok(answer.status < 300, `${path}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}
const workflow = (slug: string, ...steps: object[]) =>
  call('POST', '/v1/workflows', { name: slug, slug, steps });
const trigger = async (slug: string, payload: unknown = {}): Promise<string> =>
  (await call('POST', `/v1/workflows/${slug}/trigger`, { payload })).id;
const below = (id: string) =>
  world.app.sql<{ id: string; status: string }>(
    'select id, status from workflow_runs where parent_workflow_run_id = $1 order by id',
    id,
  );
const statuses = async (id: string) => [...new Set((await below(id)).map(({ status }) => status))];
const jobRunOf = async (id: string): Promise<string> =>
  (await call('GET', `/v1/workflow-runs/${id}/steps/work`)).job_run_id;
const failOn = (error: unknown): never => {
  throw error;
};
const callbacks = () =>
  createEndingCallbacks({
    db: world.hot,
    progression: world.others,
    endings: world.endings,
    onError: failOn,
  });

const approval = { step_ref: 'ok', step_type: 'approval', approvers: ['*'] };
const again = [
  { step_ref: 'work', job_slug: 'job' },
  {
    step_ref: 'next',
    step_type: 'continue_as_new',
    condition: { type: 'lt', left: '{{payload.n}}', right: 1 },
    payload: { n: 1 },
  },
];

describe('a pause of a whole tree', () => {
  it('holds children that have not begun, and a resume lets them begin', async () => {
    await workflow('leaf', approval);
    const items = Array.from({ length: 55 }, (_, n) => n);
    await workflow('fan', {
      step_ref: 'all',
      step_type: 'map',
      sub_workflow_slug: 'leaf',
      map_items: items,
      map_max_parallel: 55,
    });
    const id = await trigger('fan');
    assert.deepEqual(new Set(await statuses(id)), new Set(['running', 'pending']));
    await call('POST', `/v1/workflow-runs/${id}/pause?cascade=true`);
    const { timers } = world.app.composition.modules.workflowRuns.callbacks;
    await timers.ring();
    assert.deepEqual(await statuses(id), ['paused']);
    const last = (await below(id)).at(-1)?.id ?? '';
    assert.equal((await call('GET', `/v1/workflow-runs/${last}/steps/ok`)).status, 'pending');
    const [paused] = (await call('GET', `/v1/workflow-runs/${last}/why`)).blockers;
    assert.match(paused.message, /^the run was paused by \S+$/);
    await call('POST', `/v1/workflow-runs/${id}/resume?cascade=true`);
    assert.deepEqual(await statuses(id), ['running']);
    assert.equal((await call('GET', `/v1/workflow-runs/${last}/steps/ok`)).wait_reason, 'approval');
    await call('DELETE', `/v1/workflow-runs/${id}`);
  });

  it('holds a child that continues as new, before and after', async () => {
    await workflow('again', ...again);
    await workflow('above', {
      step_ref: 'sub',
      step_type: 'sub_workflow',
      sub_workflow_slug: 'again',
    });
    const endings = callbacks();
    for (const order of ['pause first', 'end first', 'together']) {
      const id = await trigger('above', { n: 0 });
      const first = (await below(id))[0]?.id ?? '';
      await world.settle(await jobRunOf(first), { to: 'completed' });
      const pause = () => call('POST', `/v1/workflow-runs/${id}/pause?cascade=true`);
      if (order === 'pause first') await pause();
      if (order === 'together') await Promise.all([pause(), endings.follow()]);
      else await endings.follow();
      if (order === 'end first') await pause();
      const [one, two] = await below(id);
      assert.deepEqual([one?.status, two?.status], ['completed', 'paused'], order);
      await call('POST', `/v1/workflow-runs/${id}/resume?cascade=true`);
      await world.settle(await jobRunOf(two?.id ?? ''), { to: 'completed' });
      await endings.follow();
      assert.deepEqual(await statuses(id), ['completed'], order);
      await call('DELETE', `/v1/workflow-runs/${id}`);
    }
  });

  it('sees the continuation that was not there when it looked', async () => {
    const endings = callbacks();
    const id = await trigger('above', { n: 0 });
    const first = (await below(id))[0]?.id ?? '';
    await world.settle(await jobRunOf(first), { to: 'completed' });
    // The child is being continued: whoever pauses has listed it and waits for its lock.
    const job_run_id = await jobRunOf(first);
    const listed = Promise.withResolvers<void>();
    const ended = world.hot.transaction(async (tx) => {
      const run = await world.others.open(tx, {
        project_id: world.project_id,
        workflow_run_id: first,
      });
      assert.ok(run);
      await listed.promise;
      await world.others.deliver(tx, run, {
        kind: 'job_ended',
        step_ref: 'work',
        job_run_id,
        status: 'completed',
        result: null,
        error: null,
      });
    });
    const paused = call('POST', `/v1/workflow-runs/${id}/pause?cascade=true`);
    await untilSomebodyWaits(world.app, 'the pause to wait for the child');
    listed.resolve();
    await Promise.all([ended, paused]);
    await endings.follow();
    assert.deepEqual(
      (await below(id)).map(({ status }) => status),
      ['completed', 'paused'],
    );
    await call('DELETE', `/v1/workflow-runs/${id}`);
  });
});
