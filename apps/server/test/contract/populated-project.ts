// A project with one of everything, so that whoever should not see it has something to see.

import assert from 'node:assert/strict';
import { runTimes } from '../../src/modules/queue/index.ts';
import { signRunToken } from '../../src/platform/crypto/run-token.ts';
import type { TestApp } from '../app.ts';
import { workflowSteps } from './samples.ts';

/** Names of the runs a project has; each is in the state it is named after. */
export const runNames = [
  'queued',
  'delayed',
  'executing',
  'waiting',
  'completed',
  'dead_letter',
] as const;
export type RunName = (typeof runNames)[number];

export interface PopulatedProject {
  readonly project_id: string;
  readonly api_key: string;
  /** A second key's id, to be rotated or revoked. */
  readonly key_id: string;
  /** Part of every name, payload, tag, log line of the project and of nothing else. */
  readonly marker: string;
  readonly job_id: string;
  readonly job_slug: string;
  /** An earlier version of the job. */
  readonly version_id: string;
  readonly batch_id: string;
  readonly group_id: string;
  /** A job that waits for the other one. */
  readonly dependent_id: string;
  readonly dependency_id: string;
  /** Nobody depends on it. */
  readonly free_job_id: string;
  /** The free job has a limit for it. */
  readonly concurrency_key: string;
  /** The waiting run waits for it. */
  readonly event_key: string;
  /** Of an event that has come: its stream ends at once. */
  readonly received_key: string;
  readonly state_key: string;
  readonly workflow_id: string;
  readonly workflow_version_id: string;
  /** Its step `asked` waits for an approval. */
  readonly workflow_run_id: string;
  /** Has two versions and an active canary. */
  readonly canary_workflow_id: string;
  readonly failed_workflow_run_id: string;
  readonly canceled_workflow_run_id: string;
  readonly runs: Readonly<Record<RunName, string>>;
  /** A valid run token of that run's claim. */
  token(run: RunName): string;
}

type Row = Record<string, unknown>;

/** Claims of one project's runs would find what another left startable: that comes last for all. */
export async function populateProjects(
  app: TestApp,
  ...names: readonly string[]
): Promise<PopulatedProject[]> {
  const finish: (() => Promise<PopulatedProject>)[] = [];
  for (const name of names) finish.push(await populateProject(app, name));
  const projects: PopulatedProject[] = [];
  for (const rest of finish) projects.push(await rest());
  return projects;
}

async function populateProject(
  app: TestApp,
  name: string,
): Promise<() => Promise<PopulatedProject>> {
  const marker = `marker-${name}`;
  const { project_id, api_key: key } = await app.project(marker);
  const post = async (path: string, body: unknown): Promise<Row> => {
    const { status, body: reply } = await app.call('POST', path, { key, body });
    assert.ok(status === 200 || status === 201, `POST ${path}: ${status} ${JSON.stringify(reply)}`);
    return reply;
  };
  const job = await post('/v1/jobs', {
    name: marker,
    slug: `job-${marker}`,
    description: marker,
    endpoint_url: 'http://127.0.0.1:9999/work',
    cron: '0 0 29 2 *',
    tags: { team: marker },
  });
  const job_id = String(job['id']);
  const patched = await app.call('PATCH', `/v1/jobs/${job_id}`, { key, body: { name: marker } });
  assert.equal(patched.status, 200, JSON.stringify(patched.body));
  const group = await post('/v1/job-groups', {
    name: marker,
    slug: `group-${marker}`,
    description: marker,
  });
  const more = (slug: string) =>
    post('/v1/jobs', {
      name: marker,
      slug: `${slug}-${marker}`,
      endpoint_url: 'http://127.0.0.1:9999/more',
      group_id: group['id'],
    });
  const [dependent, free] = [await more('dependent'), await more('free')];
  const dependency = await post(`/v1/jobs/${String(dependent['id'])}/dependencies`, {
    depends_on_job_id: job_id,
    condition: 'any',
  });
  const concurrency_key = `key-${marker}`;
  // Not by a call: that would make lanes, and every run of the project would wait for its slot.
  await app.sql(
    `with made as (insert into job_key_limits (job_id, project_id, concurrency_key, weight) values ($1, $2, $3, 2))
     update jobs set has_key_limits = true where id = $1`,
    free['id'],
    project_id,
    concurrency_key,
  );
  const workflow = await post('/v1/workflows', {
    name: marker,
    slug: `workflow-${marker}`,
    description: marker,
    cron: '0 0 29 2 *',
    tags: { team: marker },
    steps: workflowSteps({ free_job_id: String(free['id']), marker }),
  });
  await post('/v1/workflows', {
    name: marker,
    slug: `gate-${marker}`,
    steps: [
      { step_ref: 'asked', step_type: 'approval', approval_approvers: ['*', marker] },
      { step_ref: 'after', job_id: free['id'], depends_on: ['asked'] },
    ],
  });
  const shared = await post('/v1/workflows', {
    name: marker,
    slug: `shared-${marker}`,
    steps: workflowSteps({ free_job_id: String(free['id']), marker }),
  });
  const second = await app.call('PATCH', `/v1/workflows/${String(shared['id'])}`, {
    key,
    body: { description: marker },
  });
  assert.equal(second.status, 200, JSON.stringify(second.body));
  await post('/v1/canary-deployments', {
    workflow_id: shared['id'],
    source_version: 1,
    target_version: 2,
    traffic_pct: 10,
  });
  const workflowRun = await post(`/v1/workflows/gate-${marker}/trigger`, {
    payload: { secret: marker },
    tags: { of: marker },
    labels: { of: marker },
  });
  // Its first step cannot be started.
  const off = await post('/v1/jobs', {
    name: marker,
    slug: `off-${marker}`,
    endpoint_url: 'https://off.example/',
    enabled: false,
  });
  await post('/v1/workflows', {
    name: marker,
    slug: `failing-${marker}`,
    steps: [{ step_ref: 'off', job_id: off['id'] }],
  });
  const failedRun = await post(`/v1/workflows/failing-${marker}/trigger`, {
    payload: { secret: marker },
  });
  const canceledRun = await post(`/v1/workflows/gate-${marker}/trigger`, {
    payload: { secret: marker },
  });
  const canceled = await app.call('DELETE', `/v1/workflow-runs/${String(canceledRun['id'])}`, {
    key,
  });
  assert.equal(canceled.status, 200, JSON.stringify(canceled.body));
  const trigger = async (more: Row = {}) =>
    String(
      (
        await post(`/v1/jobs/${job_id}/trigger`, {
          payload: { secret: marker },
          tags: { of: marker },
          idempotency_key: `${marker}-${Math.random()}`,
          ...more,
        })
      )['id'],
    );

  const started = [await trigger(), await trigger(), await trigger(), await trigger()] as const;
  const claims = await claimAll(app, project_id, started);
  const [completed, dead_letter, executing, waiting] = started;
  await endRuns(app, { project_id, marker, completed, dead_letter, waiting }, claims);
  return async () => {
    const bulk = await post(`/v1/jobs/${job_id}/trigger/bulk`, { items: [{ payload: marker }] });
    const scheduled_at = new Date(Date.now() + 3_600_000).toISOString();
    const runs = {
      completed,
      dead_letter,
      executing,
      waiting,
      queued: await trigger({ concurrency_key: marker }),
      delayed: await trigger({ scheduled_at }),
    };
    const event_key = `event:${marker}`;
    const state_key = `state-${marker}`;
    for (const run_id of [executing, completed]) await addDetails(app, run_id, marker, state_key);
    await app.sql(
      `insert into event_triggers (event_key, project_id, source_type, job_run_id, expires_at, request_payload)
     values ($1, $2, 'job_run', $3, now() + interval '1 hour', to_jsonb($4::text))`,
      event_key,
      project_id,
      waiting,
      marker,
    );
    const received_key = `received:${marker}`;
    await app.sql(
      `insert into event_triggers (event_key, project_id, source_type, status, received_at, job_run_id, expires_at)
       values ($1, $2, 'job_run', 'received', now(), $3, now() + interval '1 hour')`,
      received_key,
      project_id,
      completed,
    );
    const versions = await app.sql<{ version_id: string }>(
      'select version_id from job_versions where job_id = $1',
      job_id,
    );
    return {
      project_id,
      api_key: key,
      key_id: String((await post('/v1/api-keys', { name: marker }))['id']),
      marker,
      job_id,
      job_slug: String(job['slug']),
      version_id: versions[0]?.version_id ?? '',
      batch_id: String(bulk['batch_id']),
      group_id: String(group['id']),
      dependent_id: String(dependent['id']),
      dependency_id: String(dependency['id']),
      free_job_id: String(free['id']),
      concurrency_key,
      event_key,
      received_key,
      state_key,
      workflow_id: String(workflow['id']),
      workflow_version_id: String(workflow['version_id']),
      workflow_run_id: String(workflowRun['id']),
      canary_workflow_id: String(shared['id']),
      failed_workflow_run_id: String(failedRun['id']),
      canceled_workflow_run_id: String(canceledRun['id']),
      runs,
      token: (run) => tokenOf(app, runs[run], claims.get(runs[run])),
    };
  };
}

/** A token as the dispatcher makes it; without a claim the one a trigger answers with. */
export function tokenOf(app: TestApp, run_id: string, claim_seq: number | undefined): string {
  const expires_at_secs = Math.floor(Date.now() / 1000) + 3600;
  return signRunToken(
    { run_id, attempt: 1, claim_seq: claim_seq ?? null, expires_at_secs },
    app.token_key,
  );
}

/** Leases these runs to a worker that does nothing, and marks them `executing`. Run id → claim. */
export async function claimAll(
  app: TestApp,
  project_id: string,
  run_ids: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const { queue } = app.composition.modules;
  const worker_id = await queue.registerWorker({ hostname: 'test', pid: process.pid });
  const claimed = await queue.claim({ worker_id, limit: run_ids.length, cursor: '' });
  assert.deepEqual(
    claimed.map((run) => run.project_id),
    run_ids.map(() => project_id),
    'runs of another project were startable',
  );
  await queue.mark(claimed.map((run) => ({ ...run, started_at: run.claimed_at })));
  return new Map(claimed.map((run) => [run.id, run.claim_seq]));
}

async function endRuns(
  app: TestApp,
  run: Record<'project_id' | 'marker' | 'completed' | 'dead_letter' | 'waiting', string>,
  claims: ReadonlyMap<string, number>,
): Promise<void> {
  const { queue, waiting } = app.composition.modules;
  const claim = (id: string) => ({
    id,
    created_at: runTimes([id]).created_from,
    claim_seq: claims.get(id) ?? -1,
    started_at: new Date().toISOString(),
  });
  const result = JSON.stringify({ secret: run.marker });
  await queue.complete([{ ...claim(run.completed), result }]);
  await queue.settle([
    { ...claim(run.dead_letter), to: 'dead_letter', error: run.marker, error_class: 'server' },
  ]);
  await app.db.transaction((tx) =>
    waiting.wait(tx, {
      project_id: run.project_id,
      run_id: run.waiting,
      claim_seq: claims.get(run.waiting) ?? -1,
      event_key: `event:${run.marker}`,
    }),
  );
}

async function addDetails(
  app: TestApp,
  run_id: string,
  marker: string,
  state_key: string,
): Promise<void> {
  const add = (text: string) => app.sql(text, run_id, marker);
  await add(
    `insert into run_events (run_id, type, level, message, data) values ($1, 'log', 'info', $2::text, jsonb_build_object('k', $2::text))`,
  );
  await add(
    `insert into run_checkpoints (run_id, sequence, state) values ($1, 1, jsonb_build_object('k', $2::text))`,
  );
  await add(
    `insert into run_usage (run_id, provider, model, cost_microusd) values ($1, $2, $2, 5)`,
  );
  await add(
    `insert into run_tool_calls (run_id, tool_name, input) values ($1, $2::text, jsonb_build_object('k', $2::text))`,
  );
  await add(
    `insert into run_outputs (run_id, output_key, value) values ($1, $2::text, jsonb_build_object('k', $2::text))`,
  );
  await app.sql(
    `insert into run_state (run_id, state_key, value) values ($1, $2, jsonb_build_object('k', $3::text))`,
    run_id,
    state_key,
    marker,
  );
}
