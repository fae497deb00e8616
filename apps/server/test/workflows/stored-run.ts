// The real store under the driver of random workflows: job runs end in the queue and are told by the callbacks, children by
// their news, timers ring; people and events go through the progression. Some transactions are lost before their commit.
import assert from 'node:assert/strict';
import { createEndingCallbacks } from '../../src/modules/workflows/callbacks/endings.ts';
import { createNews } from '../../src/modules/workflows/callbacks/news.ts';
import * as callbacks from '../../src/modules/workflows/callbacks/store.sql.ts';
import { createTimers } from '../../src/modules/workflows/callbacks/timers.ts';
import type { Changes, Start } from '../../src/modules/workflows/engine/changes.ts';
import type { JsonValue } from '../../src/modules/workflows/engine/definition.ts';
import type { Event } from '../../src/modules/workflows/engine/facts.ts';
import type { MemoryRunOptions } from '../../src/modules/workflows/engine/memory-run.ts';
import { checkQueue } from '../../src/modules/queue/index.ts';
import type { RunUnderTest } from './driver.ts';
import { isSame, listen } from './stored-answers.ts';
import { checkHistory, look, type Plain } from './stored-sight.ts';
import { ORDINARY, type StoredWorld, type Surroundings } from './stored-world.ts';

/** One transaction in so many is lost and done again. */
const CRASHES = 3;
const BOARD_OF_CHILD = 'n';

export interface StoredRun extends RunUnderTest {
  /** Nothing is left of it once it has ended. */
  finish(): Promise<void>;
}

export async function storedRun(world: StoredWorld, options: MemoryRunOptions): Promise<StoredRun> {
  const { hot, others, project_id, base } = world;
  const sql = world.app.sql;
  const steps = options.graph.steps.map((step) => ({
    ...step,
    job_id: step.job_id && (step.cost_gate_threshold_microusd > 0 ? world.dear : world.job),
    sub_workflow_id: step.sub_workflow_id && world.child,
  }));
  const keys = steps.flatMap(({ step_type, step_ref, event_key }) =>
    step_type === 'wait_for_event' ? [event_key.replace('{{step_ref}}', step_ref)] : [],
  );
  await world.surround(ORDINARY);
  await world.bringEarly(false, []);
  await world.setClock(0);
  const key = await world.makeRun(await world.makeWorkflow(steps), {
    payload: options.payload ?? null,
    depth: options.run?.depth ?? 0,
    max_parallel_steps: options.run?.max_parallel_steps ?? 0,
    timeout_secs: options.run?.timeout_secs ?? 0,
  });

  const ear = listen(world, key, options.limits);
  const { db, progression } = ear;
  const troubles: unknown[] = [];
  const shared = { db, progression, onError: (error: unknown) => troubles.push(error) };
  const endings = createEndingCallbacks({ ...shared, endings: world.endings });
  const news = createNews(shared);
  const timers = createTimers(shared);
  /** One round takes all there is: a case never has hundreds of ends. */
  const one = async (round: () => Promise<unknown>): Promise<void> => {
    await round();
    assert.deepEqual(troubles, []);
  };

  const direct = (event: Event) =>
    db.transaction(async (tx) => {
      const run = await progression.open(tx, key);
      assert.ok(run);
      await progression.deliver(tx, run, event);
    });

  const outputs = new Map<string, JsonValue>();
  const begun = new Map<string, Start>();
  const nameOf = ({ step_ref, attempt, kind }: Pick<Start, 'step_ref' | 'attempt' | 'kind'>) =>
    `${step_ref}:${attempt}:${kind}`;
  const plain: Plain = (value) =>
    value === null
      ? value
      : (JSON.parse(
          JSON.stringify(value)
            .replaceAll(world.child, 'child')
            .replaceAll(/the (job|workflow) is disabled/g, 'the job is gone')
            .replaceAll(/"\d{4}-\d\d-\d\dT[\d:.]+Z"/g, (text) =>
              JSON.stringify(new Date(Date.parse(JSON.parse(text)) - base).toISOString()),
            ),
        ) as typeof value);

  function surroundings(): Surroundings {
    const admit = options.admit;
    if (!admit) return ORDINARY;
    const job = admit({ kind: 'job', job_id: 'job', count: 1 }, '');
    const refs = steps.map(({ step_ref }) => step_ref);
    const shared_key = admit({ kind: 'event', event_key: 'shared', freed_by: refs }, '');
    const other = admit({ kind: 'event', event_key: 'other', freed_by: refs }, '');
    return {
      quota: job.kind === 'full' ? 'full' : 'free',
      jobGone: job.kind === 'refused',
      keyTaken: shared_key.kind === 'refused',
      early: other.kind === 'granted' && other.early_event !== undefined,
    };
  }

  /** Ends that were told before. */
  const told = new Set<string>();
  const isAgain = (event: Event): boolean => endsOf(event).every((end) => told.has(end));
  /** The end of these runs once more, as after a crash of whoever took it. */
  const endAgain = (run_ids: readonly string[]) =>
    sql(
      `insert into step_endings (run_id, run_created_at, workflow_step_run_id, status)
       select r.id, r.created_at, r.workflow_step_run_id, r.status
         from unnest($1::text[]) with ordinality a(id, n) join job_runs r on r.id = a.id order by a.n`,
      run_ids,
    );

  async function jobEnds({ job_run_id, status, result, error }: Of<'job_ended'>): Promise<void> {
    if (told.has(job_run_id)) await endAgain([job_run_id]);
    else {
      const end = status === 'completed' ? { result } : { error };
      await world.settle(job_run_id, { to: status, ...end });
    }
    await one(endings.follow);
  }

  async function childrenEnd({ step_ref, attempt, children }: Of<'map_children_ended'>) {
    const rows = await sql<{ index: number; job_run_id: string }>(
      `select c.index, c.job_run_id from workflow_map_children c join workflow_step_runs s on s.id = c.step_run_id
        where s.workflow_run_id = $1 and s.step_ref = $2 and c.attempt = $3 and c.index = any ($4)`,
      key.workflow_run_id,
      step_ref,
      attempt,
      children.map(({ index }) => index),
    );
    const runOf = new Map(rows.map(({ index, job_run_id }) => [index, job_run_id]));
    if (children.every(({ open }) => !open))
      await endAgain(children.map(({ index }) => runOf.get(index) ?? ''));
    else
      for (const { index, ok } of children) {
        const job_run_id = runOf.get(index) ?? '';
        if (ok)
          await world.settle(job_run_id, {
            to: 'completed',
            result: outputs.get(`${step_ref}:${attempt}:${index}`),
          });
        else await world.settle(job_run_id, { to: 'failed', error: 'boom' });
      }
    await one(endings.follow);
  }

  async function childEnds({ child_run_id, status, output }: Of<'child_ended'>): Promise<void> {
    const [row] = await sql<{ status: string; trigger_id: string | null }>(
      `select r.status, t.id as trigger_id from workflow_runs r
         left join event_triggers t on t.workflow_run_id = r.id and t.status = 'waiting' where r.id = $1`,
      child_run_id,
    );
    if (row?.status === 'running') {
      if (status === 'timed_out')
        await sql('update workflow_runs set expires_at = strait_now() where id = $1', child_run_id);
      const { n } = output as { n: JsonValue };
      const ends: Readonly<Record<string, Event>> = {
        completed: {
          kind: 'event_received',
          step_ref: BOARD_OF_CHILD,
          trigger_id: row.trigger_id ?? '',
          payload: n,
          sent_by: 'x',
        },
        failed: { kind: 'fail', error: 'boom' },
        timed_out: { kind: 'run_timed_out' },
        canceled: { kind: 'cancel', run_error: 'no more', step_error: 'no more' },
      };
      const end = ends[status];
      assert.ok(end);
      await hot.transaction(async (tx) => {
        const child = await others.open(tx, { project_id, workflow_run_id: child_run_id });
        assert.ok(child);
        assert.equal((await others.deliver(tx, child, end)).kind, 'changes');
      });
    } else
      await sql('update workflow_runs set news_due_at = strait_now() where id = $1', child_run_id);
    await one(news.follow);
  }

  /** By the timers when it is the only one that is due, which others can be made to wait for. */
  async function rings(event: Event): Promise<void> {
    const due = 'trigger_id' in event ? event.trigger_id : null;
    await sql(
      `update event_triggers set expires_at = case when id = $1 then strait_now() else greatest(expires_at, strait_now() + interval '1 day') end
        where status = 'waiting' and source_type = 'workflow_step'`,
      due,
    );
    await sql(
      `update workflow_step_approvals set expires_at = greatest(expires_at, strait_now() + interval '1 day')
        where status = 'pending' and expires_at is not null and id is distinct from $1`,
      'approval_id' in event ? event.approval_id : null,
    );
    const limit = { limit: 10, except_runs: [] };
    const triggers = await callbacks.listDueTriggers(hot, limit);
    const approvals = await callbacks.listDueApprovals(hot, limit);
    const retries = await callbacks.listDueRetries(hot, limit);
    const runs = await callbacks.listDueRuns(hot, limit);
    const waits = [...triggers, ...approvals].some(
      ({ id }) =>
        ('trigger_id' in event && id === event.trigger_id) ||
        ('approval_id' in event && id === event.approval_id),
    );
    const retry = event.kind === 'retry_due' && retries[0]?.step_ref === event.step_ref;
    const end = event.kind === 'run_timed_out' && runs.length === 1;
    const count = triggers.length + approvals.length + retries.length + runs.length;
    if (count !== 1 || !(waits || retry || end)) return direct(event);
    await one(timers.ring);
  }

  async function happens(event: Event): Promise<void> {
    switch (event.kind) {
      case 'job_ended':
        return jobEnds(event);
      case 'map_children_ended':
        return childrenEnd(event);
      case 'child_ended':
        return childEnds(event);
      case 'sleep_over':
      case 'event_timed_out':
      case 'approval_timed_out':
      case 'retry_due':
      case 'run_timed_out':
        return rings(event);
      case 'reconsider': {
        const listed = [
          ...(await callbacks.listBlocked(hot, { after_id: '', limit: 10 })),
          ...(await callbacks.listUnstartedMaps(hot, { after_id: '', limit: 10 })),
        ];
        if (listed.length === 0) return direct(event);
        return one(timers.reconsider);
      }
      default:
        return direct(event);
    }
  }

  /** The run that goes on is not looked at, nor are those that continue it, if it ends at once. */
  async function dropContinuation({ payload, generation }: NonNullable<Changes['continuation']>) {
    const rows = await sql<{
      id: string;
      continues_run_id: string;
      payload: JsonValue;
      generation: number;
      status: string;
    }>('select * from workflow_runs where first_run_id = $1', key.workflow_run_id);
    const [next, ...more] = rows.filter((row) => row.continues_run_id === key.workflow_run_id);
    assert.deepEqual(more, [], 'one run continues the one that ended');
    assert.deepEqual([next?.payload, next?.generation], [payload, generation]);
    // One that continues at once makes fifty in one transaction; the next is pending, for the timers.
    for (const { id: workflow_run_id, status } of rows)
      if (status === 'running' || status === 'paused' || status === 'pending')
        await hot.transaction(async (tx) => {
          const run = await others.open(tx, { project_id, workflow_run_id });
          assert.ok(run);
          await others.deliver(tx, run, { kind: 'cancel', run_error: 'no', step_error: 'no' });
        });
  }

  let turn = 0;
  return {
    look: () =>
      look(sql, key.workflow_run_id, base, plain, (row) => {
        const start = begun.get(nameOf(row));
        assert.ok(start, `nobody started ${nameOf(row)}`);
        return start;
      }),
    async deliver(event, now) {
      await world.setClock(now);
      const around = surroundings();
      await world.surround(around);
      if (keys.length > 0) await world.bringEarly(around.early, keys);
      turn += 1;
      ear.forget({ loses: turn % CRASHES === 0 });
      // Every other repetition takes the short way.
      if (turn % 2 === 0 && endsOf(event).length > 0 && isAgain(event)) await direct(event);
      else await happens(event);
      for (const end of endsOf(event)) told.add(end);
      const heard = ear.heard();
      const mine = heard.filter((one) => isSame(one.event, event));
      const [first, ...more] = mine;
      assert.ok(first, `${JSON.stringify(event)} was not told, but ${JSON.stringify(heard)}`);
      // Ends of what was canceled are told as well.
      for (const { answer } of [...more, ...heard.filter((one) => !mine.includes(one))])
        assert.equal(answer.kind, 'nothing', JSON.stringify(heard));
      const { answer } = first;
      if (answer.kind !== 'changes') return answer;
      const { changes } = answer;
      for (const start of changes.starts)
        begun.set(
          nameOf(start),
          'expires_at' in start && start.expires_at !== null
            ? { ...start, expires_at: start.expires_at - base }
            : start,
        );
      if (changes.starts.some(({ kind }) => kind === 'work' || kind === 'map_children'))
        await world.claim();
      if (changes.continuation) await dropContinuation(changes.continuation);
      return {
        kind: 'changes',
        changes: {
          ...changes,
          starts: changes.starts.map((start) =>
            start.kind === 'work' ? { ...start, payload: plain(start.payload) } : start,
          ),
        },
      };
    },
    setChildOutput: ({ step_ref, attempt, index }, output) =>
      void outputs.set(`${step_ref}:${attempt}:${index}`, output),
    async finish() {
      ear.forget({ loses: false });
      await one(endings.follow);
      await one(news.follow);
      for (const { answer } of ear.heard()) assert.equal(answer.kind, 'nothing');
      const left = await sql<{ what: string }>(
        `select 'a run of a job' as what from run_active
         union all select 'a run of a job' from run_queue
         union all select 'an end' from step_endings
         union all select 'news' from workflow_runs where news_due_at is not null
         union all select 'a run of depth ' || depth || ' generation ' || generation from workflow_runs where project_id = $1 and status in ('pending', 'running', 'paused') and depth > 0
         union all select 'a child of a map' from workflow_map_children where status = 'open'
         union all select 'an approval' from workflow_step_approvals where status = 'pending'
         union all select 'a trigger' from event_triggers t join workflow_runs r on r.id = t.workflow_run_id
                    where t.status = 'waiting' and r.depth > 0`,
        project_id,
      );
      assert.deepEqual(left, [], 'a run has ended, and this is left of it');
      await checkHistory(sql, key.workflow_run_id);
      assert.deepEqual(await checkQueue(world.app.db), []);
    },
  };
}

type Of<Kind extends Event['kind']> = Extract<Event, { kind: Kind }>;

/** Of work that the event is the end of. */
function endsOf(event: Event): string[] {
  if (event.kind === 'job_ended') return [event.job_run_id];
  if (event.kind === 'child_ended') return [event.child_run_id];
  if (event.kind !== 'map_children_ended') return [];
  const { step_ref, attempt, children } = event;
  return children.map(({ index }) => `${step_ref}:${attempt}:${index}`);
}
