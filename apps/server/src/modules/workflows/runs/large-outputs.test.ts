// Outputs that are too large together end what needs them; they take no process down, and nothing waits for ever.
// The long form: STRAIT_SCENARIOS=full (outputs of 270 MiB).
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { workflowApp } from '../../../../test/workflow-runs.ts';

const FULL = process.env['STRAIT_SCENARIOS'] === 'full';
const MIB = 1024 * 1024;

let on: Awaited<ReturnType<typeof workflowApp>>;

before(async () => {
  on = await workflowApp({ log_level: 'error' });
  await on.job('a');
});
after(() => on.close());

const approval = { step_ref: 'ok', step_type: 'approval', approvers: ['*'] };
const approve = async (id: string) => {
  const { status, body } = await on.internal(
    'POST',
    `/v1/workflow-runs/${id}/steps/ok/approve`,
    {},
  );
  assert.equal(status, 200, JSON.stringify(body));
};
/** As if each completed step of the run had given so much. */
const enlarge = (id: string, bytes: number) =>
  on.app.sql(
    `update workflow_step_runs set output = to_jsonb(repeat('x', ${bytes})) where workflow_run_id = $1 and status = 'completed'`,
    id,
  );

describe('outputs of steps', () => {
  it('that are too large for one value fail the step above their workflow', async () => {
    await on.workflow('child', [
      { step_ref: 'a', job_slug: 'a' },
      { step_ref: 'b', job_slug: 'a' },
      { ...approval, depends_on: ['a', 'b'] },
    ]);
    await on.workflow('parent', [
      { step_ref: 'sub', step_type: 'sub_workflow', sub_workflow_slug: 'child' },
    ]);
    const parent = await on.trigger('parent');
    const [child] = await on.app.sql<{ id: string }>(
      'select id from workflow_runs where parent_workflow_run_id = $1',
      parent,
    );
    const id = child?.id ?? '';
    await on.stepReaches(id, 'ok', 'approval');
    await enlarge(id, 35 * MIB);
    await approve(id);
    const { error } = await on.reaches(parent, 'failed');
    assert.equal(error, 'step sub failed: the outputs of the workflow are too large');
  });

  it('that a run would hand on to the next are no larger or deeper than payloads may be', async () => {
    const nested = Array.from({ length: 90 }).reduce<unknown>((inner) => [inner], '{{payload}}');
    const payloads = { deep: nested, wide: { a: '{{payload}}', b: '{{payload}}' } };
    for (const [slug, payload] of Object.entries(payloads)) {
      const handed = { step_ref: 'next', step_type: 'continue_as_new', payload };
      await on.workflow(slug, [handed]);
      await on.trigger(slug, { payload: { text: 'x'.repeat(100_000) } });
      const { body } = await on.internal('GET', `/v1/workflows/${slug}/runs?limit=1`);
      const last = await on.reaches(body.data[0].id, 'failed');
      assert.equal(last.error, 'step next failed: the payload is too large');
    }
    // What an event trigger keeps of the step is a payload, too.
    const payload = Array.from({ length: 20 }, () => '{{payload.text}}');
    await on.workflow('asks', [
      { step_ref: 'e', step_type: 'wait_for_event', event_key: 'large', payload },
    ]);
    const id = await on.trigger('asks', { payload: { text: 'x'.repeat(100_000) } });
    assert.equal((await on.reaches(id, 'failed')).error, 'step e failed: the payload is too large');
  });

  if (FULL)
    it('that are too large to be read at once fail the run whose steps need them', async () => {
      const many = Array.from({ length: 9 }, (_, n) => ({ step_ref: `a${n}`, job_slug: 'a' }));
      const refs = many.map(({ step_ref }) => step_ref);
      await on.workflow('wide', [
        ...many,
        { ...approval, depends_on: refs },
        { step_ref: 'join', job_slug: 'a', depends_on: [...refs, 'ok'] },
      ]);
      const run = await on.trigger('wide');
      await on.stepReaches(run, 'ok', 'approval');
      await enlarge(run, 30 * MIB);
      await approve(run);
      const { error } = await on.reaches(run, 'failed');
      assert.match(error, /^the outputs of 9 steps that others need are too large together$/);
    });

  it('of a map: every child asks for all of a large payload', async () => {
    await on.workflow('fan', [
      {
        step_ref: 'each',
        step_type: 'map',
        job_slug: 'a',
        map_items: '{{payload.list}}',
        map_max_parallel: 100,
        payload: { item: '{{item}}', rest: '{{payload.rest}}' },
      },
    ]);
    const before = on.called.length;
    const list = Array.from({ length: 20 }, (_, n) => n);
    const run = await on.trigger('fan', { payload: { list, rest: 'x'.repeat(900_000) } });
    await on.reaches(run, 'completed');
    const seen = on.called.slice(before).map(({ body }) => (body as { item: number }).item);
    assert.deepEqual(
      seen.toSorted((a, b) => a - b),
      list,
    );
  });
});
