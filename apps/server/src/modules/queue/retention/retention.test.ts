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
  /** A run made `days` ago that ended soon after (or so long ago), with an event, an output and an idempotency key. */
  async function oldRun(job: string, status: string, days: number, ended = days) {
    await on.app.sql(`select strait_create_run_partition(now() - make_interval(days => $1))`, days);
    const [run] = await on.app.sql<{ id: string }>(
      `with made as (
         insert into job_runs (id, created_at, job_id, project_id, status, finished_at, idempotency_key)
         select i.id, strait_id_time(i.id), j.id, j.project_id, $2, now() - make_interval(days => $4::int) + interval '1 s', i.id
           from (select uuidv7(make_interval(days => -$3::int))::text as id) i, jobs j where j.slug = $1
         returning id, job_id)
       , key as (insert into job_run_idempotency (job_id, idempotency_key, run_id) select job_id, id, id from made)
       select id from made`,
      job,
      status,
      days,
      ended,
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

  it('drops whole months once nothing in them is kept any longer, whatever stays in others', async () => {
    const job = await on.makeJob();
    const gone = await oldRun(job, 'dead_letter', 200);
    const live = await oldRun(job, 'queued', 260);
    const late = await oldRun(job, 'completed', 320, 2);
    await on.app.sql(
      `insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
       select project_id, 0, id, created_at, job_id, 1, 0, 0 from job_runs where id = $1`,
      live,
    );
    const { removeOldRuns, retirePartitions } = retention({ dead_letter_secs: 120 * DAY });
    const round = async () => {
      while ((await removeOldRuns(signal)).again);
      while ((await retirePartitions(signal)).again);
    };
    await round();
    assert.deepEqual((await left([gone, live, late])).toSorted(), [late, live].toSorted());
    const old = () =>
      on.app.sql<{ leaf: string }>(
        `select leaf from strait_run_partitions() where upper_bound < now() - interval '120 days'`,
      );
    assert.equal((await old()).length, 2, 'the months of the live and the late run');
    await on.post(live, 'release');
    await on.call('POST', '/v1/runs/bulk-cancel', { run_ids: [live] });
    await on.app.sql(
      `update job_runs set finished_at = now() - interval '121 days' where id = any ($1)`,
      [live, late],
    );
    await round();
    assert.deepEqual(await old(), []);
  });

  it('drops the oldest dead letters beyond the caps', async () => {
    const full = await on.makeJob();
    const other = await on.makeJob();
    const dead: string[] = [];
    for (let n = 0; n < 3; n++) dead.push(await on.ended(full, 'dead_letter'));
    const spared = await on.ended(other, 'dead_letter');
    // Made first, died last: what counts is when it died.
    const [late] = dead;
    await on.app.sql(
      `update job_runs set finished_at = finished_at + interval '1 s' where id = $1`,
      late,
    );
    await retention({ dead_letters_per_job: 2 }).limitDeadLetters();
    assert.deepEqual((await left(dead)).toSorted(), [late, dead[2]].toSorted());
    await retention({ dead_letters_per_project: 2 }).limitDeadLetters();
    assert.deepEqual((await left([...dead, spared])).toSorted(), [late, spared].toSorted());
  });

  it('drops no more than both caps together ask for', async () => {
    const full = await on.makeJob();
    const other = await on.makeJob();
    const caps = retention({ dead_letters_per_job: 1, dead_letters_per_project: 3 });
    while ((await caps.limitDeadLetters()).again);
    await on.app.sql(`update job_runs set status = 'failed' where status = 'dead_letter'`);
    const spared = await on.ended(other, 'dead_letter');
    const dead: string[] = [];
    for (let n = 0; n < 3; n++) dead.push(await on.ended(full, 'dead_letter'));
    while ((await caps.limitDeadLetters()).again);
    assert.deepEqual((await left([spared, ...dead])).toSorted(), [spared, dead[2]].toSorted());
  });

  it('or refuses the newest, when told to', async () => {
    const job = await on.makeJob();
    const dead = [await on.ended(job, 'dead_letter'), await on.ended(job, 'dead_letter')];
    const { limitDeadLetters } = retention({
      dead_letters_per_job: 1,
      dead_letter_overflow: 'reject',
    });
    while ((await limitDeadLetters()).again);
    const [first, second] = await Promise.all(dead.map(on.read));
    assert.equal(first.status, 'dead_letter');
    assert.deepEqual([second.status, second.error_class], ['system_failed', 'dlq_overflow']);
    const events = (await on.call('GET', `/v1/runs/${dead[1]}/events`)).body.data;
    assert.ok(events.some((event: { message: string }) => /queue is full/.test(event.message)));
  });
});
