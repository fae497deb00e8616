// Workflows with jobs that answer as a test says, on the application with everything running.

import assert from 'node:assert/strict';
import { testApp, type TestAppOptions } from './app.ts';
import { scriptedEndpoint, type ScriptedReply, type SeenRequest } from './endpoint.ts';
import { until } from './until.ts';

const ENDS = new Set(['completed', 'failed', 'canceled', 'timed_out']);

export type Answer = (request: SeenRequest) => ScriptedReply | Promise<ScriptedReply>;

export interface Called {
  readonly job: string;
  readonly body: unknown;
}

/** What jobs answer by slug; others answer `{}`. Assign members while the test goes on. */
export async function workflowApp(options: TestAppOptions = {}) {
  const app = await testApp({ mode: 'all', start: true, ...options });
  const project = await app.project();
  const answers: Record<string, Answer> = {};
  const called: Called[] = [];
  const endpoint = await scriptedEndpoint(async (request) => {
    const job = request.path.split('/').at(-1) ?? '';
    called.push({ job, body: request.body });
    return (await answers[job]?.(request)) ?? { body: {} };
  });
  const base = endpoint.url.slice(0, endpoint.url.lastIndexOf('/'));
  const call = (method: string, path: string, body?: unknown, key = project.api_key) =>
    app.call(method, path, { key, ...(body === undefined ? {} : { body }) });

  const internal = (method: string, path: string, body?: unknown) =>
    app.call(method, path, {
      headers: { ...app.internal, 'x-project-id': project.project_id },
      ...(body === undefined ? {} : { body }),
    });

  async function job(slug: string, settings: object = {}): Promise<string> {
    const made = await internal('POST', '/v1/jobs', {
      name: slug,
      slug,
      endpoint_url: `${base}/${slug}`,
      max_attempts: 1,
      ...settings,
    });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    return made.body.id;
  }

  async function workflow(
    slug: string,
    steps: readonly object[],
    settings: object = {},
  ): Promise<string> {
    const made = await internal('POST', '/v1/workflows', {
      project_id: project.project_id,
      name: slug,
      slug,
      steps,
      ...settings,
    });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    return made.body.id;
  }

  async function trigger(slug: string, body: object = {}): Promise<string> {
    const made = await internal('POST', `/v1/workflows/${slug}/trigger`, body);
    assert.equal(made.status, 201, JSON.stringify(made.body));
    return made.body.id;
  }

  const read = async (id: string) => {
    const { status, body } = await internal('GET', `/v1/workflow-runs/${id}`);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  };

  const steps = async (id: string) => {
    const { status, body } = await internal('GET', `/v1/workflow-runs/${id}/steps?limit=100`);
    assert.equal(status, 200, JSON.stringify(body));
    // oxlint-disable-next-line typescript/no-explicit-any
    return Object.fromEntries(body.data.map((step: any) => [step.step_ref, step]));
  };

  /** Status by step. */
  const states = async (id: string): Promise<Record<string, string>> =>
    Object.fromEntries(
      Object.entries(await steps(id)).map(([ref, step]) => [
        ref,
        (step as { status: string; wait_reason?: string }).wait_reason ??
          (step as { status: string }).status,
      ]),
    );

  /** Waits until the run is in this status, and gives it. */
  async function reaches(id: string, status: string) {
    let run = await read(id);
    await until(`run ${id} to be ${status}`, async () => {
      run = await read(id);
      return run.status === status || (ENDS.has(run.status) && assert.fail(JSON.stringify(run)));
    });
    return run;
  }

  /** Waits until the step is in this status or waits for this reason. */
  const stepReaches = (id: string, step: string, state: string) =>
    until(`step ${step} to be ${state}`, async () => (await states(id))[step] === state);

  async function close(): Promise<void> {
    await app.close();
    await endpoint.close();
  }

  return {
    app,
    project,
    answers,
    called,
    call,
    internal,
    job,
    workflow,
    trigger,
    read,
    steps,
    states,
    reaches,
    stepReaches,
    close,
  };
}
