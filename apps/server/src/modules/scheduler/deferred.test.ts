// What windows and rate limits of a job make of its schedule.

import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { shiftClock } from '../../../test/database.ts';
import { runActions } from '../../../test/run-actions.ts';
import { createScheduler } from './index.ts';

const MINUTE = 60_000;
let on: Awaited<ReturnType<typeof runActions>>;
before(async () => {
  on = await runActions();
});
after(() => on.close());

const runsOf = (slug: string) =>
  on.app.sql<{ status: string; scheduled_at: string | null }>(
    `select r.status, r.scheduled_at from job_runs r join jobs j on j.id = r.job_id
      where j.slug = $1 order by r.created_at, r.id`,
    slug,
  );

it('runs of schedules start in the window of their job and as its rate limits allow', async () => {
  const { hot: db, modules } = on.app.composition;
  const settings = { misfire_grace_ms: 5 * MINUTE };
  const scheduler = createScheduler({ ...modules, db, settings, onTrouble: assert.fail });
  const hour = Math.ceil(Date.now() / (60 * MINUTE)) * 60 * MINUTE;
  const goTo = (ms: number) => shiftClock(on.app.db, ms - Date.now());
  const opens = new Date(hour + 180 * MINUTE);

  await goTo(hour + MINUTE / 2);
  const windowed = await on.makeJob({
    cron: '* * * * *',
    execution_window_cron: `0 ${opens.getUTCHours()} * * *`,
  });
  const limited = await on.makeJob({
    cron: '* * * * *',
    rate_limit_max: 1,
    rate_limit_window_secs: 600,
  });
  for (const minutes of [1.5, 2.5]) {
    await goTo(hour + minutes * MINUTE);
    await scheduler.round(AbortSignal.timeout(10_000));
  }

  const inWindow = await runsOf(windowed);
  assert.equal(inWindow.length, 2);
  for (const { status, scheduled_at } of inWindow) {
    assert.equal(status, 'delayed');
    assert.equal(new Date(scheduled_at ?? '').getTime(), opens.getTime());
  }
  const [first, second] = await runsOf(limited);
  assert.equal(first?.status, 'queued');
  assert.equal(second?.status, 'delayed');
  const turn = new Date(second?.scheduled_at ?? '').getTime() - (hour + 1.5 * MINUTE);
  assert.ok(turn > 599_000 && turn < 602_000, `${turn} ms after the first`);
});
