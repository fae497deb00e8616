import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isTimeZone } from '../../domain/time-zone.ts';
import { cronProblem } from './cron-expression.ts';
import { healthScore, resolveVersion, settingsProblems } from './rules.ts';
import { changesOf, defaultSettings, type JobSettings } from './settings.ts';

const job = (changes: Partial<JobSettings>): JobSettings => ({
  ...defaultSettings,
  name: 'Job',
  slug: 'job',
  endpoint_url: 'https://example.com',
  ...changes,
});
const fieldsOf = (changes: Partial<JobSettings>) =>
  settingsProblems(job(changes)).map(({ field }) => field);

describe('versions', () => {
  it('the version policy picks the version', () => {
    const run = { job_id: 'j', job_version: 2, live_version: 5, backwards_compatible: false };
    assert.equal(resolveVersion({ ...run, version_policy: 'pin' }), 2);
    assert.equal(resolveVersion({ ...run, version_policy: 'latest' }), 5);
    assert.equal(resolveVersion({ ...run, version_policy: 'minor' }), 2);
    assert.equal(
      resolveVersion({ ...run, version_policy: 'minor', backwards_compatible: true }),
      5,
    );
  });
});

describe('cron expressions', () => {
  for (const good of [
    '* * * * *',
    '*/5 9-17 * * 1-5',
    '0 0 1,15 * *',
    '0 12 * JAN-mar Sun',
    '0-59/10 0 * * 7',
    '0 0 31 1 *',
    '0 0 30 2 1',
    '0 0 29 2 *',
  ]) {
    it(`accepts ${good}`, () => assert.equal(cronProblem(good), undefined));
  }
  for (const bad of [
    '',
    '* * * *',
    '* * * * * *',
    '@daily',
    '@every 5m',
    '60 * * * *',
    '* 24 * * *',
    '* * 0 * *',
    '* * * 13 *',
    '* * * * 8',
    '5-1 * * * *',
    '*/0 * * * *',
    '5/10 * * * *',
    '1,,2 * * * *',
    '? * * * *',
    '* * L * *',
    '* * * * 5#2',
    '* * * * mon-',
    '-1 * * * *',
    '* * * foo *',
    '0 0 30 2 *',
    '0 0 31 4,6 *',
    '* * * *\n* *',
  ]) {
    it(`refuses ${JSON.stringify(bad)}`, () => assert.equal(typeof cronProblem(bad), 'string'));
  }
  it('never throws', () => {
    fc.assert(fc.property(fc.string({ maxLength: 80 }), (text) => void cronProblem(text)));
  });
});

describe('time zones', () => {
  it('accepts names of the IANA data and nothing else', () => {
    for (const good of ['UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires', 'Etc/GMT+5']) {
      assert.equal(isTimeZone(good), true, good);
    }
    for (const bad of ['', '+01:00', 'Mars/Base', 'Europe/Berlin ', 'localtime', '../etc']) {
      assert.equal(isTimeZone(bad), false, bad);
    }
  });
});

describe('rules of a job', () => {
  it('a job of defaults is in order', () => assert.deepEqual(settingsProblems(job({})), []));

  it('each broken rule names its field', () => {
    assert.deepEqual(fieldsOf({ name: '  ' }), ['name']);
    assert.deepEqual(fieldsOf({ slug: '0199f0a2-7f2a-7c3e-9a39-3f1c4a5b6c7d' }), ['slug']);
    assert.deepEqual(fieldsOf({ slug: 'a/b' }), ['slug']);
    assert.deepEqual(fieldsOf({ slug: '..' }), ['slug']);
    assert.deepEqual(fieldsOf({ cron: '@daily' }), ['cron']);
    assert.deepEqual(fieldsOf({ execution_window_cron: '* * *' }), ['execution_window_cron']);
    assert.deepEqual(fieldsOf({ timezone: 'Nowhere' }), ['timezone']);
    assert.deepEqual(fieldsOf({ retry_strategy: 'custom' }), ['retry_delays_secs']);
    assert.deepEqual(fieldsOf({ poison_pill_threshold: 1 }), ['poison_pill_threshold']);
    assert.deepEqual(fieldsOf({ rate_limit_max: 5 }), ['rate_limit_window_secs']);
    assert.deepEqual(fieldsOf({ rate_limit_window_secs: 5 }), ['rate_limit_max']);
    assert.deepEqual(fieldsOf({ debounce_window_secs: 1, batch_window_secs: 1 }), [
      'batch_window_secs',
    ]);
    assert.deepEqual(fieldsOf({ on_failure_trigger_job: 'a', on_failure_trigger_workflow: 'b' }), [
      'on_failure_trigger_job',
    ]);
    const key = { name: 'a', max: 1, window_secs: 1 };
    assert.deepEqual(fieldsOf({ rate_limit_keys: [key, key] }), ['rate_limit_keys[1].name']);
    assert.deepEqual(fieldsOf({ skip_if_running: true, cron_overlap_policy: 'allow' }), [
      'skip_if_running',
    ]);
  });

  it('null, "" and a 0 that means "none" become the default', () => {
    assert.deepEqual(
      changesOf({
        description: '',
        max_concurrency: 0,
        max_attempts: 0,
        retry_strategy: '',
        retry_delays_secs: [],
        tags: null,
        retry_priority_boost: 0,
        unknown: 1,
      }),
      {
        description: null,
        max_concurrency: null,
        max_attempts: 3,
        retry_strategy: 'exponential',
        retry_delays_secs: null,
        tags: {},
        retry_priority_boost: 0,
      },
    );
  });

  it('the older and the newer spelling of the overlap policy agree', () => {
    const policy = (input: Record<string, unknown>, current: string) => {
      const { cron_overlap_policy, skip_if_running } = changesOf(input, undefined, {
        cron_overlap_policy: current,
      });
      return [cron_overlap_policy, skip_if_running];
    };
    assert.deepEqual(policy({ skip_if_running: true }, 'allow'), ['skip', true]);
    assert.deepEqual(policy({ skip_if_running: false }, 'skip'), ['allow', false]);
    assert.deepEqual(policy({ skip_if_running: false }, 'cancel_running'), [
      'cancel_running',
      false,
    ]);
    assert.deepEqual(policy({ cron_overlap_policy: 'skip' }, 'allow'), ['skip', true]);
    assert.deepEqual(policy({ cron_overlap_policy: 'allow' }, 'skip'), ['allow', false]);
  });
});

describe('health score', () => {
  const score = (total: number, completed: number, avg: number, p95: number) =>
    healthScore({
      total_runs: total,
      completed_runs: completed,
      avg_duration_secs: avg,
      p95_duration_secs: p95,
    });
  it('is −1 when nothing ran', () => assert.equal(score(0, 0, 0, 0).health_score, -1));
  it('is 100 when all is well', () => {
    assert.deepEqual(score(10, 10, 1, 2), { success_rate: 100, health_score: 100 });
  });
  it('falls with scattered durations, by 30 points at most', () => {
    assert.equal(score(10, 10, 1, 3).health_score, 85);
    assert.equal(score(10, 10, 1, 9).health_score, 70);
  });
  it('gives no points for stability when nothing was measured', () => {
    assert.equal(score(4, 2, 0, 0).health_score, 35);
  });
});
