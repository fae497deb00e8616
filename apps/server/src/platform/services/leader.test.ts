import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import { emptyDatabase } from '../../../test/empty-database.ts';
import { createDatabase, type Database } from '../db/database.ts';
import { createLeader, LeadershipLost, type Leader, type LeaderOptions } from './leader.ts';
import { loop } from './loop.ts';

/** The lease table alone, so that this layer needs nothing of the product's schema. */
async function leases(t: TestContext): Promise<Database> {
  const { url, client } = await emptyDatabase(t);
  await client.query(`
    create function strait_now() returns timestamptz language sql stable as 'select now()';
    create table leader_leases (name text primary key, holder text not null, fence bigint not null, expires_at timestamptz not null)`);
  const db = createDatabase({ url, application_name: 'leader-test', max: 6 });
  t.after(() => db.close());
  return db;
}

/** Beats only when told, unless the options say otherwise. */
function leader(
  t: TestContext,
  db: Database,
  holder: string,
  options: Partial<LeaderOptions> = {},
): Leader {
  const made = createLeader({ db, name: 'maintenance', holder, lease_ms: 60_000, ...options });
  t.after(() => made.stop(AbortSignal.abort()));
  return made;
}

const expire = (db: Database) =>
  db.query({
    text: `update leader_leases set expires_at = now() - interval '1 second'`,
    values: [],
  });

test('of many processes exactly one leads, and it keeps leading', async (t) => {
  const db = await leases(t);
  const all = Array.from({ length: 8 }, (_, n) => leader(t, db, `p${n}`));
  await Promise.all(all.map((one) => one.start()));
  const leading = all.filter((one) => one.tenure());
  assert.equal(leading.length, 1);
  const tenure = leading[0]?.tenure();
  await Promise.all(all.map((one) => one.beat()));
  assert.equal(leading[0]?.tenure(), tenure);
  assert.equal(tenure?.signal.aborted, false);
});

test('stopping hands over at once, with a higher fence', async (t) => {
  const db = await leases(t);
  const [first, second] = [leader(t, db, 'a'), leader(t, db, 'b')];
  await first.start();
  await second.start();
  const before = first.tenure();
  assert.equal(second.tenure(), undefined);
  await first.stop(AbortSignal.abort());
  assert.equal(before?.signal.aborted, true);
  await second.beat();
  assert.ok(Number(second.tenure()?.fence) > Number(before?.fence));
});

test('an expired lease is taken over and the former leader notices at its next beat', async (t) => {
  const db = await leases(t);
  const [first, second] = [leader(t, db, 'a'), leader(t, db, 'b')];
  await first.beat();
  const before = first.tenure();
  await expire(db);
  await second.beat();
  assert.ok(second.tenure());
  await first.beat();
  assert.equal(first.tenure(), undefined);
  assert.equal(before?.signal.aborted, true);
});

test('a lease that lapsed and was taken again by the same process is a new tenure', async (t) => {
  const db = await leases(t);
  const only = leader(t, db, 'a');
  await only.beat();
  const before = only.tenure();
  await expire(db);
  await only.beat();
  assert.equal(before?.signal.aborted, true);
  assert.equal(only.tenure()?.fence, Number(before?.fence) + 1);
});

test('a leader that cannot renew stops leading by its own clock', async (t) => {
  const db = await leases(t);
  const changes: boolean[] = [];
  const only = leader(t, db, 'a', { lease_ms: 60, on_change: (leading) => changes.push(leading) });
  await only.beat();
  const tenure = only.tenure();
  await sleep(80);
  assert.equal(tenure?.signal.aborted, true);
  assert.equal(only.tenure(), undefined);
  assert.deepEqual(changes, [true, false]);
});

test('an error while renewing is reported and costs nothing until the lease ends', async (t) => {
  const db = await leases(t);
  const errors: unknown[] = [];
  const only = leader(t, db, 'a', { on_error: (error) => errors.push(error) });
  await only.beat();
  await db.query({ text: 'alter table leader_leases rename to away', values: [] });
  await only.beat();
  assert.equal(errors.length, 1);
  assert.ok(only.tenure());
  await db.query({ text: 'alter table away rename to leader_leases', values: [] });
});

test('a guarded transaction holds the lease until it ends, and refuses a former leader', async (t) => {
  const db = await leases(t);
  const [first, second] = [leader(t, db, 'a'), leader(t, db, 'b')];
  await first.beat();
  const tenure = first.tenure();
  assert.ok(tenure);

  let takeover: Promise<void> = Promise.resolve();
  let ended = false;
  await db.transaction(async (tx) => {
    await tenure.guard(tx);
    // Nobody can expire or take the lease now: this waits for us.
    takeover = expire(db)
      .then(() => second.beat())
      .then(() => assert.equal(ended, true));
    await sleep(50);
    ended = true;
  });
  await takeover;
  assert.ok(second.tenure());
  await assert.rejects(
    db.transaction((tx) => tenure.guard(tx)),
    LeadershipLost,
  );
});

test('a once-per-cluster loop runs where the lease is and is aborted when it is lost', async (t) => {
  const db = await leases(t);
  const [first, second] = [leader(t, db, 'a'), leader(t, db, 'b')];
  const ran: string[] = [];
  const aborted = Promise.withResolvers<void>();
  const loopOf = (name: string, own: Leader) => {
    const made = loop({
      name,
      every_ms: 3_600_000,
      leader: own,
      run: async (signal) => {
        ran.push(name);
        if (name === 'a') await new Promise((resolve) => signal.addEventListener('abort', resolve));
        if (name === 'a') aborted.resolve();
      },
    });
    t.after(() => made.stop(AbortSignal.abort()));
    return made;
  };
  const loops = [loopOf('a', first), loopOf('b', second)];
  for (const one of [first, second, ...loops]) await one.start();
  await expire(db);
  await second.beat();
  await first.beat();
  await aborted.promise;
  await loops[1]?.stop(AbortSignal.abort());
  assert.deepEqual(ran, ['a', 'b']);
});
