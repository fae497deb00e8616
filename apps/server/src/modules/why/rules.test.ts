import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { budgetBlockers } from './budget-rules.ts';
import { delayBlockers, estimatedStart, type DelayFacts } from './rules.ts';

const facts = (more: Partial<DelayFacts>): DelayFacts => ({
  now: '2026-01-01T10:00:00.000Z',
  due_at: '2026-01-01T12:00:00.000Z',
  status: 'delayed',
  attempt: 1,
  reason: null,
  ...more,
});
const told = (of: DelayFacts) =>
  delayBlockers(of, undefined).map(({ kind, until }) => [kind, until]);

describe('what delays a run', () => {
  it('is its caller or its back-off where nobody else had a say', () => {
    const { due_at } = facts({});
    assert.deepEqual(told(facts({})), [['delayed', due_at]]);
    assert.deepEqual(told(facts({ status: 'queued', attempt: 3 })), [['retry_backoff', due_at]]);
  });

  it('is told step by step, as far as it is still to come, the last one to the very instant', () => {
    const { due_at } = facts({});
    const reason = [
      { kind: 'retry_backoff', until: '2026-01-01T10:30:00.000Z' },
      { kind: 'execution_window', until: '2026-01-01T11:59:59.000Z' },
    ] as const;
    const of = facts({ status: 'queued', attempt: 2, reason });
    assert.deepEqual(told(of), [
      ['retry_backoff', reason[0].until],
      ['execution_window', due_at],
    ]);
    const later = { ...of, now: '2026-01-01T11:00:00.000Z' };
    assert.deepEqual(told(later), [['execution_window', due_at]]);
    assert.deepEqual(told({ ...of, now: due_at }), [], 'due: the mover is about to take it');
    const [closed] = delayBlockers(
      facts({ status: 'queued', reason: [{ kind: 'endpoint_closed', until: due_at }] }),
      undefined,
    );
    assert.deepEqual([closed?.kind, closed?.until], ['endpoint_closed', due_at]);
  });
});

describe('budgets', () => {
  const budgets = {
    job_limit: 100,
    key_limit: 20,
    estimate: 10,
    job_policy: 'wait',
    project_limit: 1_000,
    per_run: null,
    project_policy: 'pause',
    day_ends_at: '2026-01-02T00:00:00.000Z',
    dearest: 30,
  };
  const of = { project_id: 'p', job_slug: 's' };

  it('are raised for everybody in front, those of the job by one call, and nothing else is reset', () => {
    const before = { lane: 1, job: 2, project: 3 };
    const [job, project, ...none] = budgetBlockers(of, [10, 5, 9, 8], budgets, before, false);
    assert.deepEqual(job?.unblock, {
      method: 'PUT',
      path: '/v1/jobs/s/budget',
      body: {
        max_daily_cost_microusd: 100 + 21,
        max_daily_cost_per_key_microusd: 20 + 15,
        cost_estimate_microusd: 10,
        breach_policy: 'wait',
      },
    });
    assert.match(job?.message ?? '', /^the daily budget of the key has 5 micro-USD left, /);
    assert.deepEqual(project?.unblock?.body, {
      project_id: 'p',
      max_daily_cost_microusd: 1_000 + 112,
      max_cost_per_run_microusd: null,
      breach_policy: 'pause',
    });
    assert.deepEqual(none, []);
  });

  it('are in the way of who comes behind only when that is asked', () => {
    const before = { lane: 1, job: 1, project: 1 };
    const money = [10, null, 15, null];
    assert.deepEqual(budgetBlockers(of, money, budgets, before, false), []);
    const [behind] = budgetBlockers(of, money, budgets, before, true);
    assert.match(behind?.message ?? '', /15 micro-USD left, and better ranked runs get them$/);
    assert.deepEqual(budgetBlockers(of, [0, null, 1, null], budgets, before, false), []);
  });
});

describe('the estimate', () => {
  it('is rounds of as many as run at a time, and nothing without history or a limit', () => {
    const now = '2026-01-01T10:00:00.000Z';
    const minutes = (ahead: number, at_a_time: number | null, secs = 60) => {
      const at = estimatedStart(now, { ahead, at_a_time, secs });
      return at && (Date.parse(at) - Date.parse(now)) / 60_000;
    };
    assert.deepEqual([minutes(0, 1), minutes(3, 2), minutes(4, 2)], [1, 2, 3]);
    assert.deepEqual([minutes(3, null), minutes(3, 0), minutes(3, 2, 0)], Array(3).fill(undefined));
  });
});
