import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { runActions } from '../../../test/run-actions.ts';
import { upkeepOf } from '../../../test/upkeep.ts';
import { createChaining } from './chaining.ts';

let on: Awaited<ReturnType<typeof runActions>>;

before(async () => {
  on = await runActions();
});
after(() => on.close());

const follow = async (): Promise<void> => {
  while ((await on.app.composition.modules.chaining.follow()).again);
};
const endings = async (): Promise<number> => (await on.app.sql('select from run_endings')).length;

interface Followed {
  readonly id: string;
  readonly payload: unknown;
  readonly triggered_by: string;
  readonly tags: Record<string, string>;
  readonly lineage_depth: number;
  readonly idempotency_key: string;
}
const runsOf = (job: string): Promise<Followed[]> =>
  on.app.sql<Followed>(
    `select r.* from job_runs r join jobs j on j.id = r.job_id where j.slug = $1 order by r.id`,
    job,
  );

/** Takes a fresh run to an end through the queue's verbs. */
async function end(job: string, to: string, result?: unknown, payload: unknown = { in: 1 }) {
  const id = await on.run(job, { payload });
  const claim = { ...(await on.claim(id)), started_at: new Date().toISOString() };
  const text = result === undefined ? undefined : JSON.stringify(result);
  if (to === 'completed') await on.queue.complete([{ ...claim, result: text }]);
  else await on.queue.settle([{ ...claim, to, error: 'it broke', error_class: 'server' }]);
  return id;
}

const notes = async (run_id: string): Promise<string[]> =>
  (
    await on.app.sql<{ message: string }>(
      `select message from run_events where run_id = $1 and type = 'log' order by id`,
      run_id,
    )
  ).map(({ message }) => message);

describe('chaining', () => {
  it('starts the job that follows a success with what the mapping says, once', async () => {
    const next = await on.makeJob();
    const job = await on.makeJob({
      on_complete_trigger_job: next,
      on_complete_payload_mapping: { id: 'order.id' },
      on_failure_trigger_job: 'nobody',
    });
    const source = await end(job, 'completed', { order: { id: 7 } });
    await Promise.all([follow(), follow(), follow()]);
    await follow();
    const [made, ...more] = await runsOf(next);
    assert.ok(made);
    assert.deepEqual(more, []);
    assert.deepEqual(made.payload, { id: 7 });
    assert.equal(made.triggered_by, 'job_completion');
    assert.equal(made.lineage_depth, 1);
    assert.equal(made.idempotency_key, `chain:${source}:completion`);
    const [of] = await on.app.sql<{ id: string }>('select id from jobs where slug = $1', job);
    assert.deepEqual(made.tags, { source_job_id: of?.id, source_run_id: source });
    assert.equal(await endings(), 0);
  });

  it('starts the job that repairs after every kind of failure, and nothing after a cancel or expiry', async () => {
    const repair = await on.makeJob();
    const job = await on.makeJob({ on_failure_trigger_job: repair });
    const failed = ['failed', 'timed_out', 'crashed', 'system_failed', 'dead_letter'];
    const ids: string[] = [];
    for (const to of failed) ids.push(await end(job, to));
    await end(job, 'completed');
    await on.call('DELETE', `/v1/runs/${await on.run(job)}`);
    const late = await on.run(job, { ttl_secs: 60 });
    await on.app.sql(`update job_runs set expires_at = now() where id = $1`, late);
    await upkeepOf(on.app.composition).expire();
    assert.equal((await on.read(late)).status, 'expired');
    assert.equal(await endings(), 8, 'every end is on record');
    await follow();
    const made = await runsOf(repair);
    const [of] = await on.app.sql<{ id: string }>('select id from jobs where slug = $1', job);
    assert.deepEqual(
      made.map(({ payload, triggered_by }) => [payload, triggered_by]),
      failed.map((status, index) => [
        {
          source_job_id: of?.id,
          source_run_id: ids[index],
          error: 'it broke',
          error_class: 'server',
          status,
          attempt: 1,
          original_input: { in: 1 },
        },
        'job_failure',
      ]),
    );
  });

  it('follows a run that ended itself while it waited', async () => {
    const { waiting } = on.app.composition.modules;
    const next = await on.makeJob();
    const job = await on.makeJob({ on_complete_trigger_job: next, on_failure_trigger_job: next });
    const id = await on.run(job);
    const { project_id } = on.project;
    const { claim_seq } = await on.claim(id);
    const wait = { project_id, run_id: id, claim_seq };
    await on.app.db.transaction(async (tx) => {
      await waiting.wait(tx, { ...wait, event_key: 'k' });
      await waiting.end(tx, {
        ...wait,
        status: 'completed',
        error: null,
        error_class: null,
        result_json: '{"by":"itself"}',
      });
    });
    await follow();
    assert.deepEqual(
      (await runsOf(next)).map(({ payload }) => payload),
      [{ by: 'itself' }],
    );
  });

  it('leaves no row behind for jobs that nobody follows', async () => {
    const job = await on.makeJob();
    await end(job, 'completed');
    await end(job, 'dead_letter');
    assert.equal(await endings(), 0);
  });

  it('a crash after the start and before the commit leaves the end where it was, and one run at last', async () => {
    const next = await on.makeJob();
    const job = await on.makeJob({ on_complete_trigger_job: next });
    await end(job, 'completed');
    const { modules, hot } = on.app.composition;
    let crashes = 2;
    const errors: unknown[] = [];
    const chaining = createChaining({
      db: hot,
      endings: modules.endings,
      jobs: modules.jobs,
      startWorkflow: () => assert.fail('no workflow follows'),
      clock: modules.engineNeeds.clock,
      max_payload_bytes: 1_000_000,
      onError: (error) => errors.push(error),
      queue: {
        enqueueMany: async (runs, target) => {
          const made = await modules.queue.enqueueMany(runs, target);
          if (crashes-- > 0) throw new Error('crash');
          return made;
        },
      },
    });
    await chaining.follow();
    assert.equal(errors.length, 1);
    assert.deepEqual(await runsOf(next), []);
    assert.equal(await endings(), 1);
    await chaining.follow();
    assert.deepEqual(await runsOf(next), [], 'it is tried again later, not at once');
    await on.app.sql('update run_endings set due_at = now()');
    await chaining.follow();
    assert.equal((await runsOf(next)).length, 1);
    assert.equal(await endings(), 0);
  });

  it('one end that cannot be acted on holds up no other', async () => {
    const next = await on.makeJob();
    const job = await on.makeJob({ on_complete_trigger_job: next });
    const bad = await end(job, 'completed', { bad: true });
    await end(job, 'completed', { bad: false });
    const { modules, hot } = on.app.composition;
    const chaining = createChaining({
      db: hot,
      endings: modules.endings,
      jobs: modules.jobs,
      startWorkflow: () => assert.fail('no workflow follows'),
      clock: modules.engineNeeds.clock,
      max_payload_bytes: 1_000_000,
      onError: () => {},
      queue: {
        enqueueMany: (runs, target) => {
          if (runs.some(({ payload }) => payload.includes('true'))) throw new Error('cannot');
          return modules.queue.enqueueMany(runs, target);
        },
      },
    });
    await chaining.follow();
    assert.deepEqual(
      (await runsOf(next)).map(({ payload }) => payload),
      [{ bad: false }],
    );
    const left = await on.app.sql<{ run_id: string; tries: number }>('select * from run_endings');
    assert.deepEqual(
      left.map(({ run_id, tries }) => [run_id, tries]),
      [[bad, 1]],
    );
    // Also one that has failed for weeks: 2 to the power of its tries is more than a number can be.
    const tries = 5_000;
    await on.app.sql(`update run_endings set tries = ${tries}, due_at = now()`);
    await chaining.follow();
    const [again] = await on.app.sql<{ tries: number; in_secs: number }>(
      'select tries, extract(epoch from due_at - now())::float8 as in_secs from run_endings',
    );
    assert.equal(again?.tries, tries + 1);
    assert.ok(again.in_secs > 250 && again.in_secs <= 300, String(again.in_secs));
    await on.app.sql('delete from run_endings');
  });

  it('says on the run why nothing followed it', async () => {
    const strict = await on.makeJob({
      payload_schema: { type: 'object', required: ['id'] },
    });
    const disabled = await on.makeJob({ enabled: false });
    const why = async (target: string): Promise<string[]> => {
      const job = await on.makeJob({ on_complete_trigger_job: target });
      const id = await end(job, 'completed', { no: 'id' });
      await follow();
      return notes(id);
    };
    assert.match((await why('unheard-of'))[0] ?? '', /was not started: there is no such job/);
    assert.match((await why(disabled))[0] ?? '', /was not started: the job is disabled/);
    assert.match((await why(strict))[0] ?? '', /was not started: payload/);
    assert.deepEqual(await runsOf(strict), []);
  });

  it('ends after ten runs: a job that follows itself does not go on for ever', async () => {
    const job = await on.makeJob();
    await on.call('PATCH', `/v1/jobs/${job}`, { on_complete_trigger_job: job });
    await end(job, 'completed', { n: 1 });
    let last = '';
    for (;;) {
      await follow();
      const open = (await runsOf(job)).at(-1);
      if (!open || open.id === last) break;
      last = open.id;
      const claim = { ...(await on.claim(last)), started_at: new Date().toISOString() };
      await on.queue.complete([{ ...claim, result: '{"n":1}' }]);
    }
    assert.equal((await runsOf(job)).length, 11);
    assert.equal((await runsOf(job)).at(-1)?.lineage_depth, 10);
    assert.match((await notes(last))[0] ?? '', /10 runs led to this one/);
  });

  it('goes by the version the run ran', async () => {
    const [before_, after_] = [await on.makeJob(), await on.makeJob()];
    const job = await on.makeJob({ on_complete_trigger_job: before_ });
    const id = await on.run(job);
    await on.call('PATCH', `/v1/jobs/${job}`, { on_complete_trigger_job: after_ });
    const claim = { ...(await on.claim(id)), started_at: new Date().toISOString() };
    await on.queue.complete([claim]);
    await follow();
    assert.equal((await runsOf(before_)).length, 1);
    assert.equal((await runsOf(after_)).length, 0);
    await end(job, 'completed');
    await follow();
    assert.equal((await runsOf(after_)).length, 1);
  });
});
