import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { runActions } from '../../../../test/run-actions.ts';
import { createRetention, type RetentionSettings } from './retention.ts';

const DAY = 86_400;
const settings: RetentionSettings = {
  short_secs: 30 * DAY,
  long_secs: 90 * DAY,
  dead_letter_secs: 60 * DAY,
  dead_letters_per_project: 0,
  dead_letters_per_job: 0,
  dead_letter_overflow: 'drop_oldest',
};
const signal = new AbortController().signal;

let on: Awaited<ReturnType<typeof runActions>>;

before(async () => {
  on = await runActions();
});
after(() => on.close());

const retention = (changes: Partial<RetentionSettings> = {}) =>
  createRetention({ db: on.app.composition.hot, settings: { ...settings, ...changes } });

describe('retention', () => {
  /** A run that ended `days` ago, with an event, an output and an idempotency key. */
  async function oldRun(job: string, status: string, days: number): Promise<string> {
    await on.app.sql(`select strait_create_run_partition(now() - make_interval(days => $1))`, days);
    const [run] = await on.app.sql<{ id: string }>(
      `with made as (
         insert into job_runs (id, created_at, job_id, project_id, status, finished_at, idempotency_key)
         select i.id, strait_id_time(i.id), j.id, j.project_id, $2, strait_id_time(i.id) + interval '1 s', i.id
           from (select uuidv7(make_interval(days => -$3::int))::text as id) i, jobs j where j.slug = $1
         returning id, job_id)
       , key as (insert into job_run_idempotency (job_id, idempotency_key, run_id) select job_id, id, id from made)
       select id from made`,
      job,
      status,
      days,
    );
    assert.ok(run);
    await on.app.sql(`insert into run_events (run_id, type) values ($1, 'log')`, run.id);
    await on.app.sql(
      `insert into run_outputs (run_id, output_key, value) values ($1, 'k', '1')`,
      run.id,
    );
    return run.id;
  }

  const left = async (ids: readonly string[]): Promise<string[]> =>
    (await on.app.sql<{ id: string }>('select id from job_runs where id = any ($1)', ids)).map(
      ({ id }) => id,
    );

  it('keeps each state for its own time, and takes everything that hangs off a run', async () => {
    const job = await on.makeJob();
    const gone = [
      await oldRun(job, 'completed', 31),
      await oldRun(job, 'canceled', 100),
      await oldRun(job, 'crashed', 91),
      await oldRun(job, 'dead_letter', 61),
    ];
    const kept = [
      await oldRun(job, 'completed', 29),
      await oldRun(job, 'crashed', 89),
      await oldRun(job, 'dead_letter', 59),
      await on.run(job),
    ];
    const [successor] = await on.app.sql<{ id: string }>(
      `update job_runs set continuation_of = $1 where id = $2 returning id`,
      gone[0],
      kept[3],
    );
    const { removeOldRuns } = retention();
    let removed = 0;
    for (let again = true; again;) {
      const round = await removeOldRuns(signal);
      removed += round.removed;
      again = round.again;
    }
    assert.equal(removed, gone.length);
    assert.deepEqual(await left(gone), []);
    assert.deepEqual((await left(kept)).toSorted(), kept.toSorted());
    for (const table of ['run_events', 'run_outputs', 'job_run_idempotency']) {
      const rows = await on.app.sql(`select from ${table} where run_id = any ($1)`, gone);
      assert.equal(rows.length, 0, table);
    }
    const [link] = await on.app.sql<{ continuation_of: string | null }>(
      'select continuation_of from job_runs where id = $1',
      successor?.id,
    );
    assert.equal(link?.continuation_of, null);
    assert.equal((await removeOldRuns(signal)).removed, 0, 'a second sweep begins again');
  });

  it('drops whole months once nothing in them is kept any longer', async () => {
    const job = await on.makeJob();
    const id = await oldRun(job, 'dead_letter', 200);
    const { retirePartitions } = retention({ dead_letter_secs: 120 * DAY });
    while ((await retirePartitions(signal)).again);
    assert.deepEqual(await left([id]), []);
    const [oldest] = await on.app.sql<{ old: boolean }>(
      `select upper_bound < now() - interval '120 days' as old from strait_run_partitions() limit 1`,
    );
    assert.equal(oldest?.old, false);
  });

  it('drops the oldest dead letters beyond the caps', async () => {
    const full = await on.makeJob();
    const other = await on.makeJob();
    const dead: string[] = [];
    for (let n = 0; n < 3; n++) dead.push(await on.ended(full, 'dead_letter'));
    const spared = await on.ended(other, 'dead_letter');
    await retention({ dead_letters_per_job: 2 }).limitDeadLetters();
    assert.deepEqual(await left(dead), dead.slice(1));
    await retention({ dead_letters_per_project: 2 }).limitDeadLetters();
    assert.deepEqual(await left([...dead, spared]), [dead[2], spared]);
  });

  it('or refuses the newest, when told to', async () => {
    const job = await on.makeJob();
    const dead = [await on.ended(job, 'dead_letter'), await on.ended(job, 'dead_letter')];
    const { limitDeadLetters } = retention({
      dead_letters_per_job: 1,
      dead_letter_overflow: 'reject',
    });
    await limitDeadLetters();
    const [first, second] = await Promise.all(dead.map(on.read));
    assert.equal(first.status, 'dead_letter');
    assert.deepEqual([second.status, second.error_class], ['system_failed', 'dlq_overflow']);
    const events = (await on.call('GET', `/v1/runs/${dead[1]}/events`)).body.data;
    assert.ok(events.some((event: { message: string }) => /queue is full/.test(event.message)));
  });
});
