// Thousands of malformed requests to every operation, with valid credentials. Repeat one run with
// STRAIT_TEST_SEED=<the printed seed> npm test malformed.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { failures } from '../../src/domain/failures.ts';
import { checkQueue } from '../../src/modules/queue/index.ts';
import { promoteAll } from '../promote.ts';
import * as upkeep from '../../src/modules/queue/upkeep/store.sql.ts';
import type { OperationSpec } from '../../src/platform/http/define-api.ts';
import { testApp, type TestApp } from '../app.ts';
import { compactContract } from './compact.ts';
import { databaseDigest, type DatabaseDigest } from './database-digest.ts';
import { malformedRequests, type MalformedRequest } from './malformed-requests.ts';
import { seededRandom } from './nasty.ts';
import { populateProjects, tokenOf, type PopulatedProject } from './populated-project.ts';
import { sampleOf } from './samples.ts';

const seed = Number(process.env['STRAIT_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const TOTAL = process.env['STRAIT_SCENARIOS'] === 'full' ? 20_000 : 4_000;
/** Sent at the same time. */
const TOGETHER = 10;
/** Some operations allow a key ten successes a minute, and many malformed requests still make sense. */
const FIRST_KEYS = 6;
const KEYS_OF_EACH = 9;

interface Answer {
  readonly request: MalformedRequest;
  readonly status: number;
  readonly body: unknown;
}

interface Envelope {
  readonly error?: unknown;
  readonly code?: string;
  readonly details?: readonly { readonly path: string; readonly message: string }[];
  readonly request_id?: unknown;
}

describe('malformed requests', () => {
  let app: TestApp;
  let digest: DatabaseDigest;
  let project: PopulatedProject;
  let keys: string[];
  const answers: Answer[] = [];
  const broken: string[] = [];

  before(async () => {
    app = await testApp({ start: true, log_level: 'error' });
    digest = await databaseDigest(app);
    const [populated] = await populateProjects(app, 'mangled');
    assert.ok(populated);
    project = populated;
    const newKey = async (credentials: { key: string } | { headers: Record<string, string> }) => {
      const body = { name: 'key' };
      const made = await app.call<{ key: string }>('POST', '/v1/api-keys', {
        ...credentials,
        body,
      });
      assert.equal(made.status, 201);
      return made.body.key;
    };
    keys = [];
    for (let first = 0; first < FIRST_KEYS; first++) {
      const headers = { ...app.internal, 'x-project-id': project.project_id };
      const key = await newKey({ headers });
      keys.push(key);
      for (let n = 0; n < KEYS_OF_EACH; n++) keys.push(await newKey({ key }));
    }
  });
  after(async () => {
    await upkeep.moveDue(app.db, { limit: 100_000 });
    await app.close();
  });

  it(`are refused, all of them, without harm (seed ${seed})`, async (test) => {
    const random = seededRandom(seed);
    const { operations } = app.composition.http;
    const document = await app.call<Record<string, unknown>>('GET', '/reference/openapi.json');
    const make = malformedRequests(compactContract(document.body));
    // More for those that take more; what takes nothing can only be sent odd headers.
    const weight = ({ body }: OperationSpec) => (body ? 5 : 2);
    const unit = TOTAL / operations.reduce((sum, operation) => sum + weight(operation), 0);
    for (const operation of operations) {
      await sendTogether(make.certain(operation, await refreshed()));
      let left = Math.ceil(unit * weight(operation));
      while (left > 0) {
        const of = await refreshed();
        const count = Math.min(TOGETHER, left);
        await sendTogether(Array.from({ length: count }, () => make.random(operation, of, random)));
        left -= count;
      }
      await upkeep.moveDue(app.db, { limit: 10_000 });
      await promoteAll(app);
      // The worker that holds the runs does nothing, but it lives, however slow the machine is.
      await app.sql('update workers set heartbeat_at = strait_now()');
      for (const { check, subject } of await checkQueue(app.db)) {
        broken.push(`${operation.id} broke the queue: ${check} ${subject}`);
      }
    }
    const counts = new Map<number, number>();
    for (const { status } of answers) counts.set(status, (counts.get(status) ?? 0) + 1);
    const summary = [...counts].sort(([a], [b]) => a - b).map(([status, n]) => `${status} × ${n}`);
    test.diagnostic(`seed ${seed}: ${answers.length} requests, ${summary.join(', ')}`);
    assert.deepEqual(broken.slice(0, 20), [], `${broken.length} findings, seed ${seed}`);
    assert.ok(answers.length >= 4_500);
  });

  it('meet limits in less than one of a hundred cases', () => {
    const limited = answers.filter(({ status }) => status === 429);
    const where = new Set(limited.map(({ request }) => request.operation.id));
    assert.ok(limited.length < answers.length / 100, `${limited.length}: ${[...where].join(', ')}`);
  });

  it('reach every operation past authentication', () => {
    const reached = new Set<string>();
    for (const { request, status } of answers) {
      if (status !== 401 && status !== 403) reached.add(request.operation.id);
    }
    const others = app.composition.http.operations.filter(({ id }) => !reached.has(id));
    assert.deepEqual(
      others.map(({ id }) => id),
      [],
    );
  });

  it('are told what is wrong where', () => {
    const named = new Set<string>();
    for (const { request, body } of answers) {
      const { error, details } = (body ?? {}) as Envelope;
      if (details?.length || /^(path|query|header|body)\b/.test(String(error))) {
        named.add(request.operation.id);
      }
    }
    const takers = app.composition.http.operations.filter(
      ({ id, params, query, body }) => (params ?? query ?? body) && id !== 'getReferenceAsset',
    );
    assert.deepEqual(
      takers.filter(({ id }) => !named.has(id)).map(({ id }) => id),
      [],
    );
  });

  it('pollute no prototype', () => {
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
  });

  /** Sends them at once, judges the answers, and holds refusals to having written nothing. */
  async function sendTogether(requests: readonly MalformedRequest[], again = false): Promise<void> {
    const before_all = await digest.counts();
    const got = await Promise.all(requests.map(send));
    if (!again) answers.push(...got);
    for (const answer of got) judge(answer);
    const refused = got.filter(({ status }) => status >= 400);
    if (refused.length === got.length) {
      const changed = differing(before_all, await digest.counts());
      if (changed.length > 0) {
        const all = got.map(describeAnswer).join('\n  ');
        broken.push(`refused requests changed ${changed.join(', ')}; one of\n  ${all}`);
      }
    } else if (refused.length > 0 && !again) {
      await sendTogether(
        refused.map(({ request }) => request),
        true,
      );
    }
  }

  let sent = 0;
  async function send(request: MalformedRequest): Promise<Answer> {
    const { operation, path, headers, body } = request;
    const key = keys[sent++ % keys.length] ?? '';
    const credentials: Record<string, string> =
      operation.permission === 'run_token'
        ? { authorization: `Bearer ${project.token(sampleOf(operation).run ?? 'executing')}` }
        : operation.permission === 'projects:manage'
          ? { ...app.internal }
          : { authorization: `Bearer ${key}` };
    const response = await Promise.race([
      app.composition.http.inject({
        method: operation.method,
        url: path,
        remoteAddress: `10.1.${(sent >> 8) & 255}.${sent & 255}`,
        headers: { 'content-type': 'application/json', ...headers, ...credentials },
        ...(body === undefined ? {} : { payload: body }),
      }),
      new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 20_000).unref()),
    ]);
    if (!response) return { request, status: 0, body: 'no answer within 20 s' };
    const type = String(response.headers['content-type'] ?? '');
    const parsed: unknown =
      response.payload !== '' && type.startsWith('application/json')
        ? JSON.parse(response.payload)
        : response.payload;
    return { request, status: response.statusCode, body: parsed };
  }

  function judge(answer: Answer): void {
    const { request, status } = answer;
    const { error, code = '', details = [], request_id } = (answer.body ?? {}) as Envelope;
    const say = (what: string) => void broken.push(`${what}: ${describeAnswer(answer)}`);
    if (status < 200 || status >= 500) return say('not an answer');
    if (status < 400 || ('errors' in (answer.body as object) && status === 400)) return;
    const known = Object.hasOwn(failures, code)
      ? failures[code as keyof typeof failures]
      : undefined;
    if (typeof error !== 'string' || error === '' || typeof request_id !== 'string')
      say('envelope');
    else if (!known) say('unknown code');
    else if (known.status !== status) say(`${code} is ${known.status}`);
    else if (details.some(({ path, message }) => !path || !message)) say('details');
    else if (JSON.stringify(answer.body).length > 60_000) say('endless answer');
    else if (request.path.length > 0 && /\n\s+at /.test(error)) say('stack');
  }

  /** The project with everything in the state its name says, after requests that were not malformed enough. */
  async function refreshed(): Promise<PopulatedProject> {
    await resetJob(app, project);
    const states = await app.sql<{ id: string; status: string }>(
      'select id, status from job_runs where id = any ($1)',
      Object.values(project.runs),
    );
    const status = new Map(states.map((run) => [run.id, run.status]));
    const runs = { ...project.runs };
    const claims = new Map<string, number>();
    for (const name of ['executing', 'queued', 'delayed', 'completed', 'dead_letter'] as const) {
      const now = status.get(runs[name]);
      if (now === name || (name === 'executing' && now === 'waiting')) continue;
      const id = await newRun(name === 'delayed');
      runs[name] = id;
      if (name === 'executing') claims.set(id, await lease(app, id));
      else if (name !== 'queued' && name !== 'delayed') await end(app, id, name);
    }
    if (status.get(runs.executing) === 'waiting') {
      runs.executing = await newRun(false);
      claims.set(runs.executing, await lease(app, runs.executing));
    }
    const { workflow_id, workflow_version_id } = await workflowOf(project);
    const before = project;
    const token: PopulatedProject['token'] = (name) => {
      const claim = claims.get(runs[name]);
      return claim === undefined && runs[name] === before.runs[name]
        ? before.token(name)
        : tokenOf(app, runs[name], claim);
    };
    project = { ...project, runs, workflow_id, workflow_version_id, token };
    return project;
  }

  /** The one there is, or a new one for one that was deleted. */
  async function workflowOf(of: PopulatedProject) {
    const key = keys[0] ?? '';
    const known = await app.call('GET', `/v1/workflows/${of.workflow_id}`, { key });
    const { status, body } =
      known.status === 200
        ? known
        : await app.call('POST', '/v1/workflows', {
            key,
            body: sampleOfId('postV1Workflows').body?.(of),
          });
    assert.ok(status < 300, JSON.stringify(body));
    return { workflow_id: String(body.id), workflow_version_id: String(body.version_id) };
  }

  function sampleOfId(id: string) {
    const operation = app.composition.http.operations.find((one) => one.id === id);
    assert.ok(operation, id);
    return sampleOf(operation);
  }

  async function newRun(delayed: boolean): Promise<string> {
    const scheduled_at = new Date(Date.now() + 3_600_000).toISOString();
    const made = await app.call<{ id: string }>('POST', `/v1/jobs/${project.job_id}/trigger`, {
      key: keys[0] ?? '',
      body: { payload: {}, ...(delayed && { scheduled_at }) },
    });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    return made.body.id;
  }
});

/** Whatever requests made of its settings: a trigger makes a run that can be claimed. */
async function resetJob(app: TestApp, { project_id, job_id }: PopulatedProject): Promise<void> {
  await app.sql(
    `update jobs set enabled = true, paused = false, payload_schema = null, result_schema = null, has_dependencies = false,
            batch_window_secs = 0, debounce_window_secs = 0, dedup_window_secs = null, execution_window_cron = null,
            rate_limit_max = null, rate_limit_window_secs = null, rate_limit_keys = '[]',
            max_concurrency = null, max_concurrency_per_key = null, has_key_limits = false
      where id = $1`,
    job_id,
  );
  await app.sql('update job_groups set paused = false where project_id = $1', project_id);
  await app.sql('delete from job_dependencies where job_id = $1', job_id);
  await app.sql('delete from job_budgets where job_id = $1', job_id);
  await app.sql('delete from job_key_limits where job_id = $1', job_id);
  await app.sql('delete from project_quotas where project_id = $1', project_id);
  await app.sql('delete from workflow_policies where project_id = $1', project_id);
}

/** What a claim does, for one run of our choice. */
async function lease(app: TestApp, run_id: string): Promise<number> {
  const rows = await app.sql<{ claim_seq: number }>(
    `with gone as (delete from run_queue where run_id = $1 returning *),
          done as (update job_runs set status = 'executing', started_at = now(), expires_at = null where id = $1)
     insert into run_active (worker_id, run_id, run_created_at, attempt, claim_seq, marked)
     select (select max(id) from workers), run_id, run_created_at, attempt, seq, true from gone returning claim_seq`,
    run_id,
  );
  return rows[0]?.claim_seq ?? -1;
}

async function end(app: TestApp, run_id: string, status: string): Promise<void> {
  await app.sql(
    `with gone as (delete from run_queue where run_id = $1)
     update job_runs set status = $2, started_at = now(), finished_at = now(), expires_at = null where id = $1`,
    run_id,
    status,
  );
}

const differing = (a: Record<string, number>, b: Record<string, number>): string[] =>
  Object.keys(a).filter((table) => a[table] !== b[table]);

const describeAnswer = ({ request, status, body }: Answer): string =>
  `${request.operation.id} ${request.what} → ${status} ${JSON.stringify(body)?.slice(0, 300)}`;
