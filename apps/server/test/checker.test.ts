// The ten checker queries: silent on a healthy queue, and each one sees the violation it is for.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { CHECK_NAMES, checkQueue, checkQueueTwice } from '../src/modules/queue/index.ts';
import { testApp, type TestApp } from './app.ts';
import { populateProjects, type PopulatedProject } from './contract/populated-project.ts';

/** Statements that break a healthy queue, per check; $1 stands for the run the check must name. */
const damages: Readonly<Record<string, { run: keyof PopulatedProject['runs']; does: string }>> = {
  lost: { run: 'queued', does: 'delete from run_queue where run_id = $1' },
  two_places: {
    run: 'queued',
    does: `insert into run_delayed (due_at, project_id, rank, run_id, run_created_at, job_id, attempt)
           select now() + interval '1 h', project_id, rank, run_id, run_created_at, job_id, attempt from run_queue where run_id = $1`,
  },
  wrong_place: {
    run: 'delayed',
    does: `with gone as (delete from run_delayed where run_id = $1 returning *)
           insert into run_queue (project_id, rank, run_id, run_created_at, job_id, attempt)
           select project_id, rank, run_id, run_created_at, job_id, attempt from gone`,
  },
  late_mark: { run: 'executing', does: 'update run_active set marked = false where run_id = $1' },
  silent: {
    run: 'executing',
    does: `update workers set heartbeat_at = now() - interval '3 min'
            where id = (select worker_id from run_active where run_id = $1)`,
  },
  overdue: {
    run: 'delayed',
    does: `update run_delayed set due_at = now() - interval '1 min' where run_id = $1`,
  },
};

const parks = (lane: string) =>
  `with gone as (delete from run_queue where run_id = $1 returning *)
   insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
   select project_id, rank, run_id, run_created_at, job_id, attempt, ${lane} from gone`;

/** The same about lanes. Each makes the lane it needs; the subject is the lane, or the parked run. $2: the project. */
const laneDamages: Readonly<Record<string, readonly string[]>> = {
  slots: [
    'insert into lanes (lane_id, root_lane_id, project_id, in_flight) values (900, 900, $2, 1)',
  ],
  over_cap: [
    `insert into lanes (lane_id, root_lane_id, project_id, in_flight, max_inflight) values (901, 901, $2, 1, 0)`,
    'update run_queue set lane_id = 901 where run_id = $1',
  ],
  orphans: [
    `insert into lanes (lane_id, root_lane_id, project_id, max_inflight) values (902, 902, $2, 0)`,
    parks('902, 903'),
  ],
  idle_room: [
    `insert into lanes (lane_id, root_lane_id, project_id, job_id) select 904, 904, project_id, job_id from job_runs where id = $1`,
    parks('904, 904'),
  ],
};
const laneSubjects: Readonly<Record<string, string>> = {
  slots: '900',
  over_cap: '901',
};

describe('the queue checker', () => {
  let app: TestApp;
  let project: PopulatedProject;
  before(async () => {
    app = await testApp();
    const [populated] = await populateProjects(app, 'checked');
    assert.ok(populated);
    project = populated;
  });
  after(() => app.close());

  it('finds nothing while all is well, with runs in every kind of place', async () => {
    assert.deepEqual(await checkQueue(app.db), []);
    const places = await app.sql<{ n: number }>(
      `select count(*)::int as n from run_queue union all select count(*)::int from run_delayed
        union all select count(*)::int from run_active union all select count(*)::int from run_waiting`,
    );
    assert.ok(places.every(({ n }) => n > 0));
  });

  it('has ten checks, and every one is broken here on purpose', () => {
    assert.equal(CHECK_NAMES.length, 10);
    const broken = [...Object.keys(damages), ...Object.keys(laneDamages)];
    assert.deepEqual(broken.sort(), [...CHECK_NAMES].sort());
  });

  for (const [check, { run, does }] of Object.entries(damages)) {
    it(`names the run when ${check} is violated`, async () => {
      const run_id = project.runs[run];
      const found = await damaged(app, [does], [run_id, project.project_id], check);
      assert.ok(found.includes(run_id), `${check} found ${JSON.stringify(found)}`);
    });
  }

  for (const [check, statements] of Object.entries(laneDamages)) {
    it(`names its subject when ${check} is violated`, async () => {
      const run_id = project.runs.queued;
      const found = await damaged(app, statements, [run_id, project.project_id], check);
      assert.deepEqual(found, [laneSubjects[check] ?? run_id]);
    });
  }

  it('believes a passing moment only when it stays', async () => {
    const { run_id, due_at } = (
      await app.sql<{ run_id: string; due_at: string }>('select run_id, due_at from run_delayed')
    )[0] ?? { run_id: '', due_at: '' };
    const move = (at: string) =>
      app.sql('update run_delayed set due_at = $2 where run_id = $1', run_id, at);
    await move('2026-01-01T00:00:00Z');
    assert.equal((await checkQueueTwice(app.db, async () => {})).length, 1);
    assert.deepEqual(await checkQueueTwice(app.db, () => move(due_at)), []);
  });
});

class RollBack extends Error {}

/** Subjects one check names inside a transaction that broke the queue and is rolled back. */
async function damaged(
  app: TestApp,
  statements: readonly string[],
  [run_id, project_id]: readonly [run_id: string, project_id: string],
  check: string,
): Promise<string[]> {
  let found: string[] = [];
  await app.db
    .transaction(async (tx) => {
      for (const statement of statements) {
        const text = statement.replaceAll('$1', `'${run_id}'`).replaceAll('$2', `'${project_id}'`);
        await tx.query({ text, values: [] });
      }
      const same = {
        ...app.db,
        transaction: <T>(run: (inner: typeof tx) => Promise<T>) => run(tx),
      };
      found = (await checkQueue(same, [check])).map(({ subject }) => subject);
      throw new RollBack();
    })
    .catch((error: unknown) => {
      if (!(error instanceof RollBack)) throw error;
    });
  return found;
}
