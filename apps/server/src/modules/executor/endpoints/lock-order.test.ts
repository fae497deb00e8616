// Whoever changes several rows of endpoint_admission locks them in one order: while somebody holds the first, nobody who wants
// both holds the second.

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { runActions } from '../../../../test/run-actions.ts';
import { untilSomebodyWaits } from '../../../../test/lock-waits.ts';
import { createEndpointAdmission } from '../../queue/index.ts';
import { createEndpoints } from './endpoints.ts';

const [FIRST, SECOND] = ['http://127.0.0.1:4001/x', 'http://127.0.0.1:4002/x'];

let on: Awaited<ReturnType<typeof runActions>>;
let jobs: { first: string; second: string };

before(async () => {
  on = await runActions();
  jobs = {
    first: await on.makeJob({ endpoint_url: FIRST }),
    second: await on.makeJob({ endpoint_url: SECOND }),
  };
});
after(() => on.close());

const project_id = (): string => on.project.project_id;

/** Both closed, with a probe out. */
beforeEach(() =>
  on.app.sql(
    `insert into endpoint_admission (project_id, endpoint, closed, probe_at, probe_run_id, probe_claim, probe_until)
     select $1, endpoint, true, '2000-01-01', endpoint, 1, '2100-01-01' from unnest($2::text[]) endpoint
         on conflict (project_id, endpoint) do update
        set closed = true, probe_at = excluded.probe_at, probe_run_id = excluded.probe_run_id, probe_claim = 1, probe_until = excluded.probe_until`,
    project_id(),
    [FIRST, SECOND],
  ),
);

/** Holds the first, lets the other come to wait for it, and takes the second. */
async function meets(other: () => Promise<unknown>): Promise<void> {
  let waiting: Promise<unknown> | undefined;
  const take = 'select from endpoint_admission where endpoint = $1 for update';
  await on.app.db.transaction(async (tx) => {
    await tx.query({ text: take, values: [FIRST] });
    waiting = other();
    await untilSomebodyWaits(on.app, 'the other to wait');
    await tx.query({ text: `${take} nowait`, values: [SECOND] });
  });
  await waiting;
}

const probes = () =>
  on.app.sql<{ probe_run_id: string | null }>(
    'select probe_run_id from endpoint_admission order by endpoint',
  );

describe('endpoints are locked in order', () => {
  const admission = () => createEndpointAdmission({ db: on.app.composition.hot });

  it('by who changes what they let through', async () => {
    const at = { project_id: project_id(), share: 1, probe_at: '2100-01-01T00:00:00Z' };
    await meets(() =>
      on.app.composition.hot.transaction((tx) =>
        admission().set(tx, [
          { ...at, endpoint: SECOND, closed: false },
          { ...at, endpoint: FIRST, closed: true },
        ]),
      ),
    );
    assert.equal((await probes()).length, 1);
  });

  it('by who ends probes', async () => {
    const db = on.app.composition.hot;
    const worker = createEndpoints({
      db,
      admission: admission(),
      breaker_failures: 0,
      health_counts: false,
      onError: (error) => assert.fail(String(error)),
      onChange: () => {},
    });
    const result = { project_id: project_id(), finding: undefined, latency_ms: 1, timeout_ms: 1 };
    await meets(() => {
      // The first is written alone; those that come meanwhile are one batch.
      worker.note({ ...result, endpoint: 'http://127.0.0.1:4000/x', finding: 'failure' });
      for (const endpoint of [SECOND, FIRST])
        worker.note({ ...result, endpoint, probe: { run_id: endpoint, claim_seq: 1 } });
      return worker.flush();
    });
    assert.deepEqual(
      (await probes()).map(({ probe_run_id }) => probe_run_id),
      [null, null],
    );
  });

  it('by the promotion that promises probes', async () => {
    await on.app.sql('update endpoint_admission set probe_run_id = null');
    const second = await on.run(jobs.second, { priority: 5 });
    const first = await on.run(jobs.first);
    const [root] = await on.app.sql<{ id: number }>('select root_lane_id as id from run_parked');
    const { limits } = on.app.composition.modules.engineNeeds;
    await meets(() => limits.promote(root?.id ?? 0));
    assert.deepEqual(
      (await probes()).map(({ probe_run_id }) => probe_run_id),
      [first, second],
    );
    await on.app.sql('delete from endpoint_admission');
    await on.call('POST', '/v1/runs/bulk-cancel', { run_ids: [first, second] });
  });
});
