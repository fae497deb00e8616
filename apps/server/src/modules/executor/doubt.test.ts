// Attempts that are not sent after all: what they were promised goes to others.

import assert from 'node:assert/strict';
import { after, afterEach, before, it } from 'node:test';
import { promoteAll } from '../../../test/promote.ts';
import { runActions } from '../../../test/run-actions.ts';
import { systemClock } from '../../platform/clock.ts';
import { createEndpointAdmission } from '../queue/index.ts';
import { createDispatcher, type DispatcherDeps } from './dispatcher.ts';
import { createEndpoints } from './endpoints/index.ts';
import { createSettling } from './settling.ts';

const ENDPOINT = 'http://127.0.0.1:9/doubt';

let on: Awaited<ReturnType<typeof runActions>>;
let worker_id: number;
before(async () => {
  on = await runActions();
  worker_id = await on.queue.registerWorker({ hostname: 'doubt', pid: 1 });
});
after(() => on.close());
afterEach(async () => {
  await on.app.sql('delete from endpoint_admission');
  await on.call('POST', '/v1/runs/bulk-cancel-all', { status: 'queued' });
});

/** Executes the run that a closed endpoint was promised as its probe. */
async function probe(
  answers: boolean[],
  send: DispatcherDeps['outbound']['send'] = () => assert.fail('sent'),
) {
  const { hot, modules } = on.app.composition;
  const admission = createEndpointAdmission({ db: hot });
  const { project_id } = on.project;
  const job = await on.makeJob({ endpoint_url: ENDPOINT });
  const probe_at = new Date(Date.now() - 1000).toISOString();
  await admission.set(hot, [{ project_id, endpoint: ENDPOINT, closed: true, share: 1, probe_at }]);
  const id = await on.run(job);
  await promoteAll(on.app);
  const [run] = await on.queue.claim({ worker_id, limit: 1, cursor: '' });
  assert.deepEqual([run?.id, run?.probe, run?.verdict], [id, true, 'go']);
  assert.ok(run);
  const errors: unknown[] = [];
  const endpoints = createEndpoints({
    db: hot,
    admission,
    breaker_failures: 5,
    health_counts: true,
    onError: (error) => assert.fail(String(error)),
    onChange: () => {},
  });
  const dispatcher = createDispatcher({
    jobs: modules.jobs,
    outbound: { send },
    endpoints,
    settling: createSettling({
      queue: on.queue,
      max: 10,
      parallel: 1,
      pause_ms: 0,
      early: 1,
      isUnavailable: () => false,
      onError: (error) => assert.fail(String(error)),
    }),
    clock: systemClock,
    tokenKey: on.app.token_key,
    maxResultBytes: 1000,
    traceMode: 'off',
    resumeFacts: async () => undefined,
    onError: (error) => void errors.push(error),
    onAttempt: () => {},
  });
  await dispatcher.execute(run, {
    signal: new AbortController().signal,
    reason: () => undefined,
    mayStart: () => answers.shift() ?? assert.fail('asked too often'),
    resolved: () => {},
    finishing: () => {},
  });
  await endpoints.flush();
  await endpoints.service.stop(AbortSignal.timeout(1000));
  const [left] = await on.app.sql(
    `select r.status, a.closed, a.probe_run_id, a.probe_claim,
            (select extract(epoch from r.created_at) * 1000 - p.rank from run_parked p where p.run_id = r.id)::int as rank_off
       from job_runs r join endpoint_admission a on a.endpoint = $2 where r.id = $1`,
    id,
    ENDPOINT,
  );
  return { left, errors, answers };
}

const free = { closed: true, probe_run_id: null, probe_claim: null };
const back = { status: 'queued', ...free, rank_off: 0 };

it('a worker in doubt does not take up the probe: it is promised to another run', async () => {
  const { left, answers } = await probe([false, false]);
  assert.deepEqual([left, answers], [back, [false]]);
});

it('a worker that came into doubt while it took up the probe ends it', async () => {
  const { left, answers } = await probe([true, false]);
  assert.deepEqual([left, answers], [back, []]);
});

it('a probe whose request could not be made at all is over', async () => {
  const { left, errors } = await probe([true, true], () => Promise.reject(new Error('ours')));
  assert.deepEqual(left, { ...free, status: 'system_failed', rank_off: null });
  assert.match(String(errors[0]), /ours/);
});
