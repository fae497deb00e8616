// The product with its engine, an endpoint whose answers a test switches, and what tests of failing endpoints ask.

import assert from 'node:assert/strict';
import { testApp, type TestApp, type TestProject } from './app.ts';
import { scriptedEndpoint, type ScriptedEndpoint } from './endpoint.ts';
import { until } from './until.ts';

let slugs = 0;

/** Leases outlast what these tests do to the database's clock. */
export async function started(settings: Readonly<Record<string, string>> = {}) {
  const app = await testApp({
    mode: 'all',
    start: true,
    settings: { WORKER_LEASE: '30m', ...settings },
  });
  const project = await app.project();
  return { app, project };
}

export interface Switchable {
  readonly endpoint: ScriptedEndpoint;
  /** Status of every reply from now on. */
  status: number;
  delay_ms: number;
  /** Every reply waits for it. */
  hold: Promise<unknown> | undefined;
}

export async function switchable(): Promise<Switchable> {
  const state = { status: 500, delay_ms: 0, hold: undefined as Promise<unknown> | undefined };
  const endpoint = await scriptedEndpoint(async () => {
    await state.hold;
    return { status: state.status, delay_ms: state.delay_ms };
  });
  return Object.assign(state, { endpoint });
}

export const on = (app: TestApp, project: TestProject) => {
  const call = (method: string, path: string, body?: unknown) =>
    app.call(method, path, { key: project.api_key, body });
  const job = async (endpoint_url: string, more: object = {}): Promise<string> => {
    const slug = `job-${++slugs}`;
    const body = { name: slug, slug, endpoint_url, max_attempts: 1, ...more };
    const made = await call('POST', '/v1/jobs', body);
    assert.equal(made.status, 201, JSON.stringify(made.body));
    return slug;
  };
  const trigger = async (slug: string, body: object = {}): Promise<string> => {
    const made = await call('POST', `/v1/jobs/${slug}/trigger`, body);
    assert.equal(made.status, 201, JSON.stringify(made.body));
    return made.body.id;
  };
  const read = async (id: string) => (await call('GET', `/v1/runs/${id}`)).body;
  const ended = (id: string, status: string) =>
    until(`run ${id} to be ${status}`, async () => {
      const run = await read(id);
      return run.status === status && run;
    });
  const health = async (slug: string) => {
    const { status, body } = await call('GET', `/v1/jobs/${slug}/endpoint-health`);
    assert.equal(status, 200, JSON.stringify(body));
    return body.endpoints[0];
  };
  /** So many runs, one after the other, each to its end and its result known. */
  const fail = async (slug: string, times: number, status = 'dead_letter'): Promise<void> => {
    for (let n = 0; n < times; n++) {
      await ended(await trigger(slug), status);
      await app.composition.engine?.endpoints.flush();
    }
  };
  /** Promotion, as often as it wants, right now. */
  const promote = async (): Promise<void> => {
    const roots = await app.sql<{ root_lane_id: number }>(
      'select distinct root_lane_id from run_parked where root_lane_id <> 0',
    );
    const { promoter } = app.composition.engine ?? {};
    promoter?.ask(roots.map(({ root_lane_id }) => root_lane_id));
    await promoter?.idle();
  };
  const waiting = async (slug: string): Promise<number> => {
    const [row] = await app.sql<{ runs: number }>(
      'select count(*)::int as runs from run_parked p join jobs j on j.id = p.job_id where j.slug = $1 and j.project_id = $2',
      slug,
      project.project_id,
    );
    return row?.runs ?? -1;
  };
  return { call, job, trigger, read, ended, health, fail, promote, waiting };
};
