import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { shiftClock } from '../../../test/database.ts';
import { runActions } from '../../../test/run-actions.ts';
import { createScheduler, type Scheduler } from './index.ts';

const MINUTE = 60_000;
let on: Awaited<ReturnType<typeof runActions>>;
let scheduler: Scheduler;
const troubles: string[] = [];
/** What the database's clock is ahead of ours. */
let shift_ms = 0;

const another = (onTrouble: (error: unknown) => void): Scheduler => {
  const { hot: db, modules } = on.app.composition;
  const settings = { misfire_grace_ms: 5 * MINUTE };
  return createScheduler({ ...modules, db, settings, onTrouble });
};

before(async () => {
  on = await runActions();
  scheduler = another((error) => void troubles.push(String(error)));
});
after(() => on.close());

/** Moves the clock to this long after the next full hour. */
async function goTo(ms: number): Promise<number> {
  const now = Date.now() + shift_ms;
  const target = Math.ceil(now / (60 * MINUTE)) * 60 * MINUTE + ms;
  shift_ms = target - Date.now();
  await shiftClock(on.app.db, shift_ms);
  return target - ms;
}

async function advance(ms: number): Promise<void> {
  shift_ms += ms;
  await shiftClock(on.app.db, shift_ms);
}

const round = () => scheduler.round(AbortSignal.timeout(10_000));
const schedule = async (job: string, query = '') =>
  (await on.call('GET', `/v1/jobs/${job}/schedule${query}`)).body;
const runsOf = async (job: string) =>
  on.app.sql<{
    id: string;
    status: string;
    triggered_by: string;
    created_by: string;
    payload: unknown;
    metadata: Record<string, string>;
    idempotency_key: string;
    expires_at: string | null;
    created_at: string;
  }>(
    'select r.* from job_runs r join jobs j on j.id = r.job_id where j.slug = $1 order by r.created_at, r.id',
    job,
  );
const outcomes = async (job: string): Promise<string[]> =>
  (await schedule(job)).recent_fires
    .map(({ outcome }: { outcome: string }) => outcome)
    .toReversed();

/** Nothing of an earlier test fires in the next one. */
const remove = async (job: string): Promise<void> => {
  const changed = await on.call('PATCH', `/v1/jobs/${job}`, { cron: null });
  assert.equal(changed.status, 200);
};

describe('schedules', () => {
  it('a due instant makes one run like any other, and the next instant', async () => {
    await goTo(30_000);
    const job = await on.makeJob({
      cron: '* * * * *',
      run_ttl_secs: 600,
      default_run_metadata: { team: 'a' },
    });
    assert.deepEqual(await runsOf(job), [], 'nothing fires before its instant');
    await round();
    assert.deepEqual(await runsOf(job), []);
    const { next_fire_at, ...before } = await schedule(job);
    assert.equal(before.status, 'active');
    await advance(30_000);
    await round();
    await round();
    const [run, ...others] = await runsOf(job);
    assert.ok(run);
    assert.deepEqual(others, [], 'an instant fires once');
    const { id: job_id } = (await on.call('GET', `/v1/jobs/${job}`)).body;
    const at_ms = Date.parse(next_fire_at);
    assert.equal(at_ms % MINUTE, 0);
    assert.equal(run.triggered_by, 'cron');
    assert.equal(run.created_by, 'system:cron');
    assert.deepEqual(run.payload, {});
    assert.equal(run.metadata['team'], 'a');
    assert.equal(run.metadata['_cron_fire_time'], new Date(at_ms).toISOString());
    assert.equal(run.idempotency_key, `cron:job:${job_id}:${at_ms / MINUTE}`);
    const lives_ms = Date.parse(run.expires_at ?? '') - Date.parse(run.created_at);
    assert.ok(Math.abs(lives_ms - 600_000) < 5_000, String(lives_ms));
    const seen = await schedule(job);
    assert.equal(seen.last_run_id, run.id);
    assert.equal(seen.last_fire_at, next_fire_at);
    assert.equal(Date.parse(seen.next_fire_at), at_ms + MINUTE);
    assert.deepEqual(seen.recent_fires, [
      { fire_at: next_fire_at, outcome: 'created', run_id: run.id },
    ]);
    await remove(job);
  });

  it('the preview is in the zone of the job; strangers and jobs without cron have none', async () => {
    const job = await on.makeJob({ cron: '30 9 * * *', timezone: 'Asia/Kolkata' });
    const { next_fires, next_fire_at, timezone, catchup, overlap_policy } = await schedule(
      job,
      '?count=100',
    );
    assert.equal(next_fires.length, 100);
    assert.deepEqual(
      new Set(next_fires.map((fire: string) => fire.slice(11))),
      new Set(['04:00:00.000Z']),
    );
    assert.equal(Date.parse(next_fires[0]), Date.parse(next_fire_at));
    assert.deepEqual([timezone, catchup, overlap_policy], ['Asia/Kolkata', 'latest', 'allow']);
    for (const count of ['0', '101', 'x', '1.5']) {
      const refused = await on.call('GET', `/v1/jobs/${job}/schedule?count=${count}`);
      assert.equal(refused.status, 400);
      assert.match(JSON.stringify(refused.body), /query\.count/);
    }
    const plain = await on.makeJob();
    assert.equal(
      (await on.call('GET', `/v1/jobs/${plain}/schedule`)).body.code,
      'schedule_not_found',
    );
    const foreign = await on.call('GET', `/v1/jobs/${job}/schedule`, undefined, on.other.api_key);
    assert.equal(foreign.body.code, 'job_not_found');
    const unknown = await on.call('POST', '/v1/jobs', {
      name: 'x',
      slug: 'bad-catchup',
      endpoint_url: 'http://127.0.0.1:9/x',
      cron_catchup: 'some',
    });
    assert.equal(unknown.status, 400);
    assert.match(JSON.stringify(unknown.body), /cron_catchup/);
    await remove(job);
    assert.equal((await on.call('GET', `/v1/jobs/${job}/schedule`)).status, 404);
  });

  it('edits count at once, and one that does not touch the schedule loses no instant that is due', async () => {
    const hour = await goTo(30_000);
    const job = await on.makeJob({ cron: '5 * * * *' });
    assert.equal(Date.parse((await schedule(job)).next_fire_at), hour + 5 * MINUTE);
    await on.call('PATCH', `/v1/jobs/${job}`, { cron: '10 * * * *' });
    assert.equal(Date.parse((await schedule(job)).next_fire_at), hour + 10 * MINUTE);
    await on.call('PATCH', `/v1/jobs/${job}`, { timezone: 'Asia/Kathmandu' });
    // Kathmandu is 5:45 ahead: its minute 10 is ours 25.
    assert.equal(Date.parse((await schedule(job)).next_fire_at), hour + 25 * MINUTE);
    await advance(25 * MINUTE);
    await on.call('PATCH', `/v1/jobs/${job}`, { description: 'changed', cron_catchup: 'none' });
    await round();
    assert.equal((await runsOf(job)).length, 1);
    await remove(job);
  });

  it('a disabled job does not fire, nor make up for it; a paused one gets its runs, held', async () => {
    await goTo(30_000);
    const job = await on.makeJob({ cron: '* * * * *', cron_catchup: 'all' });
    await on.call('POST', '/v1/jobs/batch-disable', { ids: [job] });
    const off = await schedule(job);
    assert.equal(off.status, 'disabled');
    assert.equal(off.next_fire_at, undefined);
    assert.equal(off.next_fires.length, 10, 'what would come is shown');
    await advance(10 * MINUTE);
    await round();
    await on.call('PATCH', `/v1/jobs/${job}`, { enabled: true });
    await round();
    assert.equal((await runsOf(job)).length, 0);
    assert.equal((await on.call('POST', `/v1/jobs/${job}/pause`)).status, 200);
    assert.equal((await schedule(job)).job_paused, true);
    await advance(MINUTE);
    await round();
    const [held] = await runsOf(job);
    assert.ok(held);
    const parked = await on.app.sql('select from run_parked where run_id = $1', held.id);
    assert.equal(parked.length, 1);
    await on.call('PATCH', `/v1/jobs/${job}`, { cron_overlap_policy: 'skip' });
    await advance(MINUTE);
    await round();
    assert.deepEqual(await outcomes(job), ['created', 'skipped'], 'a held run is a run');
    await remove(job);
  });

  it('after an outage each job gets what its policy says', async () => {
    await goTo(30_000);
    const catchups = ['none', 'latest', 'all'];
    const made = async (cron: string) =>
      Promise.all(catchups.map((cron_catchup) => on.makeJob({ cron, cron_catchup })));
    const minutely = await made('* * * * *');
    const hourly = await made('0 * * * *');
    // 26 hours, 6 minutes and 20 seconds into an hour: the last minute is on time, the last hour is not in its grace.
    await advance(26 * 60 * MINUTE + 5 * MINUTE + 50_000);
    await round();
    const counts = async (jobs: readonly string[]) =>
      Promise.all(jobs.map(async (job) => (await runsOf(job)).length));
    assert.deepEqual(await counts(minutely), [1, 1, 10]);
    assert.deepEqual(await counts(hourly), [0, 0, 10]);
    assert.deepEqual(await outcomes(hourly[1] ?? ''), ['missed']);
    const times = (await runsOf(hourly[2] ?? '')).map(({ metadata }) =>
      Date.parse(metadata['_cron_fire_time'] ?? ''),
    );
    assert.deepEqual(
      times.map((time) => time - (times[0] ?? 0)),
      Array.from({ length: 10 }, (_, n) => n * 60 * MINUTE),
    );
    for (const job of [...minutely, ...hourly]) await remove(job);
  });

  it('skip makes no run beside another, cancel_running ends the others with their children', async () => {
    await goTo(30_000);
    const skips = await on.makeJob({ cron: '* * * * *', skip_if_running: true });
    const cancels = await on.makeJob({ cron: '* * * * *', cron_overlap_policy: 'cancel_running' });
    const later = { scheduled_at: new Date(Date.now() + shift_ms + 20 * 86_400_000).toISOString() };
    const delayed = await on.run(cancels, later);
    const running = await on.run(cancels);
    await on.claim(running);
    const child = await on.run(await on.makeJob());
    await on.app.sql('update job_runs set parent_run_id = $1 where id = $2', running, child);
    await on.run(skips, later);
    await advance(MINUTE);
    await round();
    assert.deepEqual(await outcomes(skips), ['skipped']);
    const [first] = (await runsOf(cancels)).filter(({ triggered_by }) => triggered_by === 'cron');
    assert.ok(first);
    assert.equal(first.status, 'queued');
    for (const id of [delayed, running, child]) {
      assert.equal((await on.read(id)).status, 'canceled');
    }
    assert.match((await on.read(running)).error, /next scheduled run/);
    await advance(MINUTE);
    await round();
    assert.equal((await on.read(first.id)).status, 'canceled');
    assert.deepEqual(await outcomes(cancels), ['created', 'created']);
    for (const job of [skips, cancels]) await remove(job);
  });

  it('an expression that cannot be read turns its own schedule off, in sight, and no other', async () => {
    await goTo(30_000);
    const [bad, good] = [
      await on.makeJob({ cron: '* * * * *' }),
      await on.makeJob({ cron: '* * * * *' }),
    ];
    await on.app.sql(
      `update job_schedules s set timezone = 'Nowhere/Land' from jobs j where j.id = s.job_id and j.slug = $1`,
      bad,
    );
    await advance(MINUTE);
    await round();
    assert.equal((await runsOf(good)).length, 1);
    const seen = await schedule(bad);
    assert.equal(seen.status, 'invalid');
    assert.match(seen.problem, /Nowhere\/Land/);
    assert.equal(seen.next_fire_at, undefined);
    assert.deepEqual(seen.next_fires, []);
    const { id } = (await on.call('GET', `/v1/jobs/${bad}`)).body;
    const [audit] = await on.audits('job.schedule_disabled', id);
    assert.match(String(audit?.details['problem']), /Nowhere/);
    await on.call('PATCH', `/v1/jobs/${bad}`, { cron: '*/2 * * * *' });
    assert.equal((await schedule(bad)).status, 'active');
    for (const job of [bad, good]) await remove(job);
  });

  it('a key that is taken makes no second run; trouble of one job holds up no other', async () => {
    const hour = await goTo(30_000);
    const [taken, broken, good] = [
      await on.makeJob({ cron: '* * * * *' }),
      await on.makeJob({ cron: '* * * * *' }),
      await on.makeJob({ cron: '* * * * *' }),
    ];
    const { id } = (await on.call('GET', `/v1/jobs/${taken}`)).body;
    const idempotency_key = `cron:job:${id}:${(hour + MINUTE) / MINUTE}`;
    const mine = await on.run(taken, { idempotency_key });
    await on.app.sql(
      `create function refuse() returns trigger language plpgsql as $$ begin raise exception 'broken job'; end $$`,
    );
    await on.app.sql(
      `create trigger refuse before insert on job_run_idempotency for each row
         when (new.idempotency_key ^@ ('cron:job:' || '${(await on.call('GET', `/v1/jobs/${broken}`)).body.id}')) execute function refuse()`,
    );
    await advance(MINUTE);
    await round();
    assert.match(String(troubles), /broken job/);
    assert.equal(troubles.length, 1);
    assert.equal((await runsOf(good)).length, 1);
    assert.deepEqual((await schedule(taken)).recent_fires[0].run_id, mine);
    assert.deepEqual(await outcomes(taken), ['held']);
    assert.deepEqual(await outcomes(broken), []);
    await on.app.sql('drop function refuse cascade');
    await round();
    assert.deepEqual(await outcomes(broken), [], 'it is left alone for a while');
    await another((error) => assert.fail(String(error))).round(AbortSignal.timeout(10_000));
    assert.deepEqual(await outcomes(broken), ['created'], 'it was not lost');
    for (const job of [taken, broken, good]) await remove(job);
  });

  it('an instant that comes again, because a clock or an edit went back, is not decided again', async () => {
    await goTo(30_000);
    const job = await on.makeJob({ cron: '* * * * *', cron_catchup: 'all' });
    await advance(MINUTE);
    await round();
    for (const back of ['5 minutes', '1 minute', '1 second']) {
      await on.app.sql(
        `update job_schedules s set next_fire_at = least(s.last_fire_at, strait_now() - $2::interval)
           from jobs j where j.id = s.job_id and j.slug = $1`,
        job,
        back,
      );
      await round();
    }
    const times = (await runsOf(job)).map(({ metadata }) => metadata['_cron_fire_time']);
    assert.deepEqual(times, [...new Set(times)]);
    assert.deepEqual(
      await outcomes(job),
      times.map(() => 'created'),
    );
    assert.ok(times.length > 1, 'instants before it that nobody decided are made up for');
    await remove(job);
  });

  it('jobs of a version without schedules are adopted, and old instants forgotten', async () => {
    await goTo(30_000);
    const [lost, changed, stray] = [
      await on.makeJob({ cron: '* * * * *' }),
      await on.makeJob({ cron: '5 * * * *' }),
      await on.makeJob({ cron: '* * * * *' }),
    ];
    await on.app.sql(
      'delete from job_schedules s using jobs j where j.id = s.job_id and j.slug = $1',
      lost,
    );
    await on.app.sql(`update jobs set cron = '* * * * *' where slug = $1`, changed);
    await on.app.sql('update jobs set cron = null where slug = $1', stray);
    await scheduler.repair();
    await round();
    await advance(MINUTE);
    await round();
    for (const job of [lost, changed]) assert.equal((await runsOf(job)).length, 1, job);
    assert.equal((await runsOf(stray)).length, 0);
    assert.equal((await schedule(changed)).cron, '* * * * *');
    await scheduler.removeOldFires();
    assert.deepEqual(await outcomes(lost), ['created']);
    await advance(8 * 86_400_000);
    assert.deepEqual(await scheduler.removeOldFires(), { again: false });
    assert.deepEqual(await outcomes(lost), []);
    for (const job of [lost, changed]) await remove(job);
  });

  it('a deleted job fires no more', async () => {
    await goTo(30_000);
    const job = await on.makeJob({ cron: '* * * * *' });
    const { id } = (await on.call('GET', `/v1/jobs/${job}`)).body;
    assert.equal((await on.call('DELETE', `/v1/jobs/${job}`)).status, 204);
    assert.deepEqual(await on.app.sql('select from job_schedules where job_id = $1', id), []);
    await advance(MINUTE);
    await round();
    assert.deepEqual(await on.app.sql('select from schedule_fires where job_id = $1', id), []);
  });

  // The last one: the tables are made anew, without the rights of tenants.
  it('jobs that had an expression before there were schedules get theirs from the migration', async () => {
    const hour = await goTo(30_000);
    const job = await on.makeJob({ cron: '* * * * *', timezone: 'Asia/Tokyo' });
    await on.makeJob();
    const { id } = (await on.call('GET', `/v1/jobs/${job}`)).body;
    const run = async (half: string) => {
      const file = path.join(
        import.meta.dirname,
        `../../../migrations/000030_schedules.${half}.sql`,
      );
      await on.app.sql(readFileSync(file, 'utf8'));
    };
    await run('down');
    await on.app.sql('update jobs set cron_catchup = null');
    for (const time of ['the first time', 'again']) {
      await run('up');
      const rows = await on.app.sql<{ job_id: string; timezone: string }>(
        'select job_id, timezone from job_schedules',
      );
      assert.deepEqual(rows, [{ job_id: id, timezone: 'Asia/Tokyo' }], time);
    }
    assert.deepEqual(await on.app.sql('select from jobs where cron_catchup is null'), []);
    await round();
    assert.deepEqual(await runsOf(job), [], 'nothing fired before its first instant');
    await advance(MINUTE);
    await round();
    const [made] = await runsOf(job);
    assert.equal(made?.metadata['_cron_fire_time'], new Date(hour + MINUTE).toISOString());
  });
});
