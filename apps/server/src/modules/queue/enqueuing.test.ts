import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { runActions } from '../../../test/run-actions.ts';
import { DatabaseUnavailable } from '../../platform/db/database.ts';
import type { Queryable, StatementCall } from '../../platform/db/query.ts';
import { createEnqueuing } from './enqueuing.ts';
import type { NewRun } from './queue.ts';

const settings = { aging_ms: 1000, default_ttl_secs: 0, idempotency_retention_secs: 60 };

describe('triggers that share a statement', () => {
  let on: Awaited<ReturnType<typeof runActions>>;
  before(async () => (on = await runActions()));
  after(() => on.close());

  const jobs = async (count: number): Promise<NewRun[]> => {
    const made: NewRun[] = [];
    for (let n = 0; n < count; n += 1) {
      const slug = await on.makeJob();
      const [job] = await on.app.sql<{ id: string; project_id: string }>(
        'select id, project_id from jobs where slug = $1',
        slug,
      );
      assert.ok(job);
      made.push({ job_id: job.id, project_id: job.project_id, payload: '{}', priority: 0 });
    }
    return made;
  };
  const runsOf = async ({ job_id }: NewRun): Promise<number> =>
    (await on.app.sql('select from job_runs where job_id = $1', job_id)).length;

  /** The hot pool, with a short lock timeout, told about each statement. */
  const impatient = (onCall: (call: StatementCall) => void = () => {}): Queryable => ({
    query: async (call) => {
      onCall(call);
      return on.app.composition.hot.transaction(async (tx) => {
        await tx.query({ text: `set local lock_timeout = '200ms'`, values: [] });
        return tx.query(call);
      });
    },
  });

  it('a locked job fails its own triggers only', async () => {
    const [locked, free] = await jobs(2);
    assert.ok(locked && free);
    const { shared } = createEnqueuing({ db: impatient(), settings });
    const outcomes = await on.app.db.transaction(async (tx) => {
      const text = 'select id from jobs where id = $1 for update';
      await tx.query({ text, values: [locked.job_id] });
      return Promise.allSettled([locked, free, locked, free].map((run) => shared.add(run)));
    });
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['rejected', 'fulfilled', 'rejected', 'fulfilled'],
    );
    assert.equal((outcomes[0] as { reason: { code: string } }).reason.code, '55P03');
    assert.deepEqual([await runsOf(locked), await runsOf(free)], [0, 2]);
  });

  it('what the database refuses of one job does not touch another', async () => {
    const [bad, good] = await jobs(2);
    assert.ok(bad && good);
    const { shared } = createEnqueuing({ db: impatient(), settings });
    const outcomes = await Promise.allSettled([
      shared.add({ ...bad, payload: 'no JSON' }),
      shared.add(good),
      // Refused for itself: its neighbour of the same job is fine.
      shared.add({ ...good, extra: { continuation_of: '019ac000-0000-7000-8000-000000000000' } }),
    ]);
    assert.deepEqual(
      outcomes.map((one) => (one.status === 'fulfilled' ? one.value.outcome : 'rejected')),
      ['rejected', 'created', 'refused'],
    );
    assert.equal(await runsOf(good), 1);
  });

  it('nothing is tried again once the database may have committed it', async () => {
    const [one, two] = await jobs(2);
    assert.ok(one && two);
    let calls = 0;
    const lost: Queryable = {
      query: async () => {
        calls += 1;
        throw new DatabaseUnavailable('connection lost', { outcome_unknown: true });
      },
    };
    const { shared } = createEnqueuing({ db: lost, settings });
    const outcomes = await Promise.allSettled([one, two].map((run) => shared.add(run)));
    assert.deepEqual([outcomes.map(({ status }) => status), calls], [['rejected', 'rejected'], 1]);
  });

  it('a failed look for the holders of keys inserts nothing twice', async () => {
    const [one, two] = await jobs(2);
    assert.ok(one && two);
    const keyed = { ...two, idempotency_key: 'k', payload_hash: 'h' };
    await createEnqueuing({ db: impatient(), settings }).shared.add(keyed);
    const db = impatient(({ text }) => {
      if (text.includes('join job_run_idempotency')) throw new Error('no look');
    });
    const { shared } = createEnqueuing({ db, settings });
    const outcomes = await Promise.allSettled([one, keyed].map((run) => shared.add(run)));
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'rejected'],
    );
    assert.deepEqual([await runsOf(one), await runsOf(two)], [1, 1]);
  });

  it('large payloads go out in statements of bounded size', async () => {
    const [job] = await jobs(1);
    assert.ok(job);
    const rows: number[] = [];
    const db = impatient(({ values }) => void rows.push(values.find(Array.isArray)?.length ?? 0));
    const { shared } = createEnqueuing({ db, settings });
    const payload = JSON.stringify('x'.repeat(1024 * 1024));
    await Promise.all(Array.from({ length: 20 }, () => shared.add({ ...job, payload })));
    assert.deepEqual(rows, [7, 7, 6]);
  });
});
