// The application with one project and a worker that only claims: for tests of what people do to runs.

import assert from 'node:assert/strict';
import { testApp } from './app.ts';

export async function runActions() {
  const app = await testApp();
  const project = await app.project();
  const other = await app.project('other');
  const { queue } = app.composition.modules;
  const worker_id = await queue.registerWorker({ hostname: 'test', pid: 1 });
  let slugs = 0;

  const call = (method: string, path: string, body?: unknown, key = project.api_key) =>
    app.call(method, path, { key, ...(body === undefined ? {} : { body }) });
  const read = async (id: string) => (await call('GET', `/v1/runs/${id}`)).body;
  const post = (id: string, action: string, body?: unknown) =>
    call('POST', `/v1/runs/${id}/${action}`, body);

  async function makeJob(settings: object = {}): Promise<string> {
    slugs += 1;
    const slug = `job-${slugs}`;
    // Not with the key: its limit on creating jobs is not what is tested.
    const made = await app.call('POST', '/v1/jobs', {
      headers: { ...app.internal, 'x-project-id': project.project_id },
      body: { name: slug, slug, endpoint_url: 'http://127.0.0.1:9/x', ...settings },
    });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    return slug;
  }

  async function run(job: string, body: object = {}): Promise<string> {
    const made = await call('POST', `/v1/jobs/${job}/trigger`, body);
    assert.equal(made.status, 201, JSON.stringify(made.body));
    return made.body.id;
  }

  /** Claims until this run is leased; returns what identifies the claim. */
  async function claim(id: string) {
    for (;;) {
      const found = await queue.claim({ worker_id, limit: 100, cursor: '' });
      assert.ok(found.length > 0, 'nothing to claim');
      const claims = found.map((one) => ({
        id: one.id,
        created_at: one.created_at,
        claim_seq: one.claim_seq,
      }));
      const mine = claims.find((one) => one.id === id);
      const others = claims.filter((one) => one !== mine);
      if (others.length > 0) {
        await queue.settle(others.map((one) => ({ ...one, to: 'queued', unstarted: true })));
      }
      if (mine) return mine;
    }
  }

  /** Takes a fresh run to an end. */
  async function ended(job: string, to: string, body: object = {}): Promise<string> {
    const id = await run(job, body);
    const started_at = new Date().toISOString();
    const claimed = await claim(id);
    await queue.settle([{ ...claimed, to, started_at, error: 'it broke', error_class: 'server' }]);
    assert.equal((await read(id)).status, to);
    return id;
  }

  const audits = async (action: string, resource_id: string) =>
    app.sql<{ details: Record<string, unknown> }>(
      'select details from audit_events where action = $1 and resource_id = $2 order by id',
      action,
      resource_id,
    );

  async function close(): Promise<void> {
    // Leases nobody works on are violations by the time the queue is checked.
    const held = await app.sql<{ run_id: string }>('select run_id from run_active');
    if (held.length > 0) {
      await call('POST', '/v1/runs/bulk-cancel', { run_ids: held.map(({ run_id }) => run_id) });
    }
    await app.close();
  }

  return {
    app,
    queue,
    project,
    other,
    call,
    read,
    post,
    makeJob,
    run,
    claim,
    ended,
    audits,
    close,
  };
}

export const inOneHour = () => new Date(Date.now() + 3_600_000).toISOString();
