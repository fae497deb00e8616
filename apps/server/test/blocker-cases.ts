// One case for every kind of thing that keeps a run from starting, set up through the API, and what looks at it.

import assert from 'node:assert/strict';
import { shiftClock } from './database.ts';
import type { InRunTest } from './in-run.ts';
import { promoteAll } from './promote.ts';
import { inOneHour } from './run-actions.ts';
import { upkeepOf } from './upkeep.ts';
import { createEndpointAdmission } from '../src/modules/queue/index.ts';
import type { Blocker, BlockerKind } from '../src/modules/why/rules.ts';

export interface WhyAnswer {
  readonly status: string;
  readonly blockers: readonly Blocker[];
  readonly position?: number;
  readonly estimated_start_at?: string;
}

export interface BlockerCase {
  readonly kind: BlockerKind;
  readonly title?: string;
  /** What else stands there, in the order of the answer. */
  readonly with?: readonly BlockerKind[];
  /** Of the run that is asked about. */
  readonly setUp: () => Promise<string>;
  readonly says?: RegExp;
  readonly until?: boolean;
  readonly holders?: number;
  /** Default: the call of the answer does it. */
  readonly away?: () => Promise<unknown>;
  readonly attempt?: number;
}

export function blockerCases(on: InRunTest) {
  /** The key of the project that is asked about. */
  let key = on.project.api_key;
  let ports = 3000;
  let adapting = '';
  const admission = createEndpointAdmission({ db: on.app.composition.hot });

  async function why(id: string): Promise<WhyAnswer> {
    // No worker process runs here, and this file may have waited long for its turn.
    await on.app.sql('update workers set heartbeat_at = strait_now()');
    const { status, body } = await on.call('GET', `/v1/runs/${id}/why`, undefined, key);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  }

  /** What the loops of a worker do. */
  async function workOn(): Promise<void> {
    const { composition } = on.app;
    const { chaining, endings } = composition.modules;
    while ((await chaining.follow()).again);
    while ((await endings.judge()).again);
    await on.upkeep.resumeAwaitingParents();
    while ((await upkeepOf(composition).moveDue()).again);
    await promoteAll(on.app);
  }

  /** As whoever runs the installation where a call asks for that. */
  async function perform({ unblock }: Blocker): Promise<void> {
    assert.ok(unblock, 'a call');
    const { method, path: url, body } = unblock;
    const managed = url.startsWith('/v1/project');
    const done = managed
      ? await on.app.call(method, url, { headers: on.app.internal, body })
      : await on.call(method, url, body, key);
    assert.ok(done.status < 300, `${method} ${url}: ${done.status} ${JSON.stringify(done.body)}`);
  }

  const run = async (job: string, body: object = {}): Promise<string> => {
    const made = await on.call('POST', `/v1/jobs/${job}/trigger`, body, key);
    assert.equal(made.status, 201, JSON.stringify(made.body));
    return made.body.id;
  };

  /** Two runs, the first with its slot: the second waits behind it. */
  async function second(job: string, body: object = {}): Promise<string> {
    const first = await run(job, body);
    const id = await run(job, body);
    await workOn();
    await on.start(first);
    return id;
  }

  async function jobIn(project: { project_id: string }, settings: object = {}): Promise<string> {
    const made = await on.app.call('POST', '/v1/jobs', {
      headers: { ...on.app.internal, 'x-project-id': project.project_id },
      body: { name: 'other', slug: 'other', endpoint_url: 'http://127.0.0.1:9/x', ...settings },
    });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    return 'other';
  }

  const claimed = async (job: string, settled: object): Promise<string> => {
    const id = await run(job);
    const lease = await on.claim(id);
    await on.queue.settle([{ ...lease, to: 'queued', ...settled }]);
    return id;
  };

  /** A window of one minute, five hours from now. */
  function laterToday(): string {
    const at = new Date(Date.now() + 5 * 3_600_000);
    return `${at.getUTCMinutes()} ${at.getUTCHours()} * * *`;
  }

  async function replayed(settings: object): Promise<string> {
    const job = await on.makeJob(settings);
    const first = await run(job);
    await on.call('DELETE', `/v1/runs/${first}`);
    return (await on.post(first, 'replay')).body.id;
  }

  /** As many at a time; null: the endpoint recovered. */
  async function takes(endpoint: string, most: number | null): Promise<void> {
    const key = { project_id: on.project.project_id, endpoint };
    await on.app.composition.hot.transaction(async (tx) => {
      if (most === null) await admission.ease(tx, key, null);
      else assert.ok(await admission.limit(tx, key, most));
    });
  }

  const hours = (n: number) => shiftClock(on.app.db, n * 3_600_000);

  const cases: readonly BlockerCase[] = [
    {
      kind: 'ended',
      says: /^the run is dead_letter$/,
      setUp: async () => on.ended(await on.makeJob(), 'dead_letter'),
    },
    {
      kind: 'held',
      says: /^held by \S+$/,
      setUp: async () => {
        const id = await run(await on.makeJob());
        await on.post(id, 'pause');
        return id;
      },
    },
    {
      kind: 'delayed',
      until: true,
      setUp: async () => run(await on.makeJob(), { scheduled_at: inOneHour() }),
    },
    {
      kind: 'delayed',
      title: 'delayed, by time',
      until: true,
      setUp: async () => run(await on.makeJob(), { scheduled_at: inOneHour() }),
      away: () => hours(2),
    },
    {
      kind: 'retry_backoff',
      says: /^attempt 2 is due at /,
      until: true,
      attempt: 2,
      setUp: async () => claimed(await on.makeJob(), { attempt: 2, delay_ms: 600_000, error: 'e' }),
      away: () => hours(1),
    },
    {
      kind: 'rate_limit',
      says: /^rate limit of the job, 1 per 3600 s: the next token is at /,
      until: true,
      setUp: () => replayed({ rate_limit_max: 1, rate_limit_window_secs: 3600 }),
    },
    {
      kind: 'rate_limit',
      title: 'rate_limit, shared by name, by time',
      says: /^rate limit of "mails", 1 per 3600 s: /,
      until: true,
      setUp: () =>
        replayed({
          rate_limit_max: 10,
          rate_limit_window_secs: 60,
          rate_limit_keys: [{ name: 'mails', max: 1, window_secs: 3600 }],
        }),
      away: () => hours(2),
    },
    {
      kind: 'execution_window',
      says: /^outside the execution window of the job until /,
      until: true,
      setUp: async () => run(await on.makeJob({ execution_window_cron: laterToday() })),
    },
    {
      kind: 'database_unavailable',
      until: true,
      setUp: async () => {
        const until = inOneHour();
        const delayed_by = [{ kind: 'database_unavailable', until }];
        return claimed(await on.makeJob(), { unstarted: true, delay_ms: 1_000, delayed_by });
      },
      away: () => hours(1),
    },
    {
      kind: 'waiting_event',
      until: true,
      setUp: async () => {
        const waiting = await on.running(await on.makeJob());
        await waiting.post('wait-for-event', { event_key: 'why not' });
        return waiting.id;
      },
    },
    {
      kind: 'waiting_child',
      holders: 1,
      setUp: async () => {
        const job = await on.makeJob();
        const parent = await on.running(job);
        await parent.post('spawn', { job_slug: job, await_completion: true });
        return parent.id;
      },
    },
    {
      kind: 'dependency',
      says: / to end as failed; gives up at /,
      until: true,
      setUp: async () => {
        const [upstream, job] = [await on.makeJob(), await on.makeJob()];
        const depends = await on.call('POST', `/v1/jobs/${job}/dependencies`, {
          depends_on_job_id: upstream,
          condition: 'failed',
        });
        assert.equal(depends.status, 201, JSON.stringify(depends.body));
        return run(job);
      },
    },
    {
      kind: 'job_disabled',
      setUp: async () => {
        const job = await on.makeJob();
        const id = await run(job);
        await on.call('PATCH', `/v1/jobs/${job}`, { enabled: false });
        return id;
      },
    },
    {
      kind: 'job_paused',
      says: /^the job was paused by \S+$/,
      setUp: async () => {
        const job = await on.makeJob();
        await on.call('POST', `/v1/jobs/${job}/pause`);
        return run(job);
      },
    },
    {
      kind: 'group_paused',
      says: /^the group of the job was paused by \S+$/,
      setUp: async () => {
        const { body: group } = await on.call('POST', '/v1/job-groups', { name: 'g', slug: 'g' });
        const job = await on.makeJob({ group_id: group.id });
        await on.call('POST', `/v1/job-groups/${group.id}/pause-all`);
        return run(job);
      },
    },
    {
      kind: 'project_paused',
      says: /^the queue of the project was paused by \S+$/,
      setUp: async () => {
        await on.call('POST', '/v1/queue/pause');
        return run(await on.makeJob());
      },
    },
    {
      kind: 'endpoint_closed',
      says: /closed until .*, then one run tries it again$/,
      until: true,
      setUp: async () => {
        const endpoint = `http://127.0.0.1:${++ports}/x`;
        const { project_id } = on.project;
        await admission.set(on.app.db, [
          { project_id, endpoint, closed: true, share: 1, probe_at: inOneHour() },
        ]);
        return run(await on.makeJob({ endpoint_url: endpoint }));
      },
      away: () => hours(2),
    },
    {
      kind: 'key_limit',
      says: /^key k: 1 of 1 in flight$/,
      holders: 1,
      setUp: async () =>
        second(await on.makeJob({ max_concurrency: 3, max_concurrency_per_key: 1 }), {
          concurrency_key: 'k',
        }),
    },
    {
      kind: 'job_limit',
      holders: 1,
      setUp: async () => second(await on.makeJob({ max_concurrency: 1 })),
    },
    {
      kind: 'endpoint_concurrency',
      says: /^endpoint http:\/\/127\.0\.0\.1:\d+\/x takes 1 at a time now \(adaptive\), 1 in flight$/,
      holders: 1,
      setUp: async () => {
        const endpoint = `http://127.0.0.1:${++ports}/x`;
        const job = await on.makeJob({ endpoint_url: endpoint });
        await takes(endpoint, 1);
        adapting = endpoint;
        return second(job);
      },
      away: () => takes(adapting, null),
    },
    {
      kind: 'project_limit',
      says: /^the project: 1 of 1 in flight$/,
      holders: 1,
      setUp: async () => {
        const project = await on.app.project('full');
        key = project.api_key;
        const { status } = await on.app.call('PUT', `/v1/projects/${project.project_id}/quotas`, {
          headers: on.app.internal,
          body: { max_executing_runs: 1, timezone: 'Asia/Kathmandu' },
        });
        assert.equal(status, 200);
        return second(await jobIn(project));
      },
    },
    {
      kind: 'budget',
      says: /^the daily budget of the job has 0 micro-USD left, the run reserves 10$/,
      until: true,
      setUp: async () => {
        const job = await on.makeJob();
        const budget = { max_daily_cost_microusd: 10, cost_estimate_microusd: 10 };
        await on.call('PUT', `/v1/jobs/${job}/budget`, budget);
        return second(job);
      },
    },
    {
      kind: 'budget',
      title: 'budget of the project',
      says: /^the daily budget of the project has 2 micro-USD left, the run reserves 10$/,
      until: true,
      setUp: async () => {
        const project = await on.app.project('poor');
        key = project.api_key;
        const job = await jobIn(project);
        await on.call('PUT', `/v1/jobs/${job}/budget`, { cost_estimate_microusd: 10 }, key);
        const { status } = await on.app.call('PUT', '/v1/project-budget', {
          headers: { ...on.app.internal, 'x-project-id': project.project_id },
          body: { max_daily_cost_microusd: 12, breach_policy: 'wait' },
        });
        assert.equal(status, 200);
        return second(job);
      },
    },
    {
      kind: 'execution_window',
      title: 'execution_window of a held run, kept over the hold',
      until: true,
      setUp: async () => {
        const id = await run(await on.makeJob({ execution_window_cron: laterToday() }));
        await on.post(id, 'pause');
        const held = await why(id);
        assert.deepEqual(
          held.blockers.map(({ kind }) => kind),
          ['held', 'execution_window'],
        );
        await on.post(id, 'resume');
        return id;
      },
    },
    {
      kind: 'delayed',
      title: 'delayed into a window that is not open then',
      with: ['execution_window'],
      until: true,
      setUp: async () =>
        run(await on.makeJob({ execution_window_cron: laterToday() }), {
          scheduled_at: inOneHour(),
        }),
    },
  ];

  return {
    cases,
    why,
    workOn,
    perform,
    run,
    takes,
    /** Cases that need a project of their own change it. */
    asUsual: () => void (key = on.project.api_key),
    cleanUp: async () => {
      await shiftClock(on.app.db, 0);
      for (const status of ['delayed', 'queued']) {
        const done = await on.call('POST', '/v1/runs/bulk-cancel-all', { status }, key);
        assert.equal(done.status, 200, JSON.stringify(done.body));
      }
    },
  };
}
