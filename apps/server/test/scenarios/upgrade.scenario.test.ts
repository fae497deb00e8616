// A newer version starts on the database of an older one that keeps working, and may even start again.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../until.ts';
import { audit, untilAllEnded, watchQueue } from './accounts.ts';
import { full, report, startCluster } from './cluster.ts';
import { SERVER } from './processes.ts';

const TRIGGERS_PER_STAGE = full ? 1_000 : 200;
const CALLERS = 4;
const MIGRATION = '009999_newer_version';

test('a newer version migrates while the old one works, and the old one still starts afterwards', async (t) => {
  const began = performance.now();
  const cluster = await startCluster(t, { database: 'shared' });
  const endpoint = await cluster.endpoint(() => ({ delay_ms: 20 }));
  const old = await cluster.start('all');
  const job = await cluster.job(old, endpoint);
  const watch = watchQueue(cluster.db);

  let target = old;
  let acknowledged = 0;
  let stopped = false;
  const caller = async (): Promise<void> => {
    while (!stopped) {
      const { status, body } = await cluster.call(target, 'POST', `/v1/jobs/${job}/trigger`, {
        payload: {},
      });
      assert.equal(status, 201, `a trigger was refused: ${JSON.stringify(body)}`);
      acknowledged += 1;
      await sleep(5);
    }
  };
  const load = Promise.all(Array.from({ length: CALLERS }, caller));
  load.catch(() => {});
  const stage = async (): Promise<void> => {
    const goal = acknowledged + TRIGGERS_PER_STAGE;
    await Promise.race([
      load,
      until(`${goal} acknowledged triggers`, () => acknowledged >= goal, { deadline_ms: 60_000 }),
    ]);
  };

  await stage();
  const newer = await cluster.start('all', {}, newerVersion(t));
  const recorded = await cluster.rows<{ name: string }>(
    'select name from schema_migrations order by version desc limit 1',
  );
  assert.deepEqual(recorded, [{ name: MIGRATION }], newer.log());
  assert.ok(old.running());
  await stage(); // still at the old one

  const again = await cluster.start('all');
  assert.match(again.log(), /newer than this program/);
  target = newer;
  await stage();
  target = again;
  await stage();
  stopped = true;
  await load;

  const states = await untilAllEnded(cluster);
  assert.deepEqual(states, { completed: acknowledged });
  const { snapshots } = await watch.stop();
  const books = await audit(cluster, endpoint);
  assert.equal(books.lost_attempts, 0);
  for (const each of [old, newer, again]) {
    const metrics = await (await fetch(`${each.url}/metrics`)).text();
    assert.ok(
      Number(/run_attempts_total\{outcome="ok"\} (\d+)/.exec(metrics)?.[1]) > 0,
      'each of the three executed runs',
    );
    assert.doesNotMatch(each.log(), / (WARN|ERROR|FATAL) /, each.log());
  }
  report({
    scenario: 'upgrade',
    acknowledged,
    ...books,
    snapshots,
    secs: Math.round((performance.now() - began) / 1000),
  });
});

/** A checkout of its own: this code with one more migration, which changes the busiest table. */
function newerVersion(t: TestContext): string {
  const root = realpathSync(mkdtempSync(path.join(tmpdir(), 'strait-newer-')));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const ours = path.join(SERVER, '../..');
  const server = path.join(root, 'apps/server');
  for (const part of ['src', 'migrations', 'package.json'])
    cpSync(path.join(SERVER, part), path.join(server, part), { recursive: true });
  cpSync(path.join(ours, 'examples'), path.join(root, 'examples'), { recursive: true });
  symlinkSync(path.join(ours, 'node_modules'), path.join(root, 'node_modules'));
  const up = `alter table job_runs add column newer_note text;\ncreate table newer_things (id bigint primary key);\n`;
  const down = `drop table newer_things;\nalter table job_runs drop column newer_note;\n`;
  writeFileSync(path.join(server, `migrations/${MIGRATION}.up.sql`), up);
  writeFileSync(path.join(server, `migrations/${MIGRATION}.down.sql`), down);
  return server;
}
