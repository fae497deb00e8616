// The first five minutes: a project, a key and a sample job that really runs, through the same API a user has.

import { startHelloHandler } from '../../../../examples/hello-handler.ts';

export interface DemoTarget {
  readonly base_url: string;
  readonly api_key: string;
}

export interface DemoRun {
  readonly id: string;
  readonly status: string;
  readonly timeline: readonly string[];
  readonly result: unknown;
}

export interface Demo {
  run(): Promise<DemoRun>;
  stop(): void;
}

const SLUG = 'hello';
const DEADLINE_MS = 15_000;

interface RunEvent {
  readonly created_at: string;
  readonly type: string;
  readonly message: string;
  readonly data?: {
    readonly from?: string | null;
    readonly to?: string;
    readonly attempt?: number;
    readonly retry_in_ms?: number;
    readonly error_class?: string;
  };
}

/** Starts the sample handler and makes sure the sample job points at it. */
export async function prepareDemo(target: DemoTarget): Promise<Demo> {
  const { server, url } = await startHelloHandler();
  server.unref();
  const call = async <Answer>(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; body: Answer }> => {
    const response = await fetch(target.base_url + path, {
      method,
      headers: { authorization: `Bearer ${target.api_key}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Answer };
  };

  const existing = await call<{ endpoint_url: string }>('GET', `/v1/jobs/${SLUG}`);
  if (existing.status === 404) {
    await call('POST', '/v1/jobs', {
      name: 'Hello',
      slug: SLUG,
      endpoint_url: url,
      retry_strategy: 'fixed',
      version_policy: 'latest',
      description: 'The sample job of npm start; its handler is examples/hello-handler.ts',
    });
  } else if (existing.body.endpoint_url !== url) {
    await call('PATCH', `/v1/jobs/${SLUG}`, { endpoint_url: url });
  }

  return {
    async run() {
      const triggered = await call<{ id: string }>('POST', `/v1/jobs/${SLUG}/trigger`, {
        payload: { name: 'Strait' },
      });
      if (triggered.status !== 201)
        throw new Error(`the sample job could not be triggered: ${JSON.stringify(triggered.body)}`);
      const { id } = triggered.body;
      await streamEnd(`${target.base_url}/v1/runs/${id}/stream`, target.api_key);
      const run = await call<{ status: string; result: unknown }>('GET', `/v1/runs/${id}`);
      const events = await call<{ data: RunEvent[] }>(
        'GET',
        `/v1/runs/${id}/events?type=state_change`,
      );
      const ordered = events.body.data.toSorted((a, b) => a.created_at.localeCompare(b.created_at));
      const first = Date.parse(ordered[0]?.created_at ?? '');
      return {
        id,
        status: run.body.status,
        result: run.body.result,
        timeline: ordered.map(
          (event) =>
            `+${String(Date.parse(event.created_at) - first).padStart(4)} ms  ${event.data?.to ?? event.message}`,
        ),
      };
    },
    stop: () => void server.close(),
  };
}

/** Follows the run's live stream to its end, as a user would; `0` replays what happened before we came. */
async function streamEnd(url: string, api_key: string): Promise<void> {
  const response = await fetch(url, {
    headers: { authorization: `Bearer ${api_key}`, 'last-event-id': '0' },
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  for await (const _chunk of response.body ?? []) void _chunk;
}
