// The net under workflow runs (workflow-semantics §20). What ends work tells of it in the same transaction, so all that is
// found here is a defect or a hand in the database: every action is counted and logged, and there should be none.
import type { Database } from '../../../platform/db/database.ts';
import { TERMINAL_STATES, type Endings } from '../../queue/index.ts';
import type { JsonValue } from '../engine/definition.ts';
import type { Event } from '../engine/facts.ts';
import type { Progression } from '../progression/progression.ts';
import type { RunKey } from '../progression/run-lock.ts';
import { wakeLoops } from '../progression/store.sql.ts';
import * as store from './store.sql.ts';

export const STALL_ACTIONS = ['log_only', 'reconcile', 'fail_workflow'] as const;

export type ReaperAction =
  | 'orphan_step'
  | 'orphan_child'
  | 'forgotten_wait'
  | 'stray_child'
  /** Only logged, or nothing could be done about it. */
  | 'stalled_run'
  | 'stalled_run_reconciled'
  | 'stalled_run_failed';

export interface Reaped extends RunKey {
  readonly action: ReaperAction;
  readonly step_ref?: string;
}

export interface ReaperSettings {
  readonly stall_action: (typeof STALL_ACTIONS)[number];
  readonly stall_threshold_secs: number;
}

export interface ReaperDeps {
  /** The hot pool. */
  readonly db: Database;
  readonly endings: Pick<Endings, 'tellStepsAgain'>;
  readonly progression: Progression;
  readonly settings: ReaperSettings;
  readonly onReaped: (reaped: Reaped) => void;
  readonly onError: (error: unknown, what: string) => void;
}

/** Runs looked at in one page, and pages of one round; the next round goes on where this one stopped. */
const PAGE = 500;
const PAGES = 20;
/** Findings of one kind in a page; the rest is found again. */
const FINDINGS = 200;
const GRACE_SECS = 30;

interface Page {
  readonly after_id: string;
  readonly to_id: string;
}

export type Reaper = ReturnType<typeof createReaper>;

export function createReaper(deps: ReaperDeps) {
  const { db, endings, progression, settings, onReaped, onError } = deps;
  const found = { grace_secs: GRACE_SECS, limit: FINDINGS };
  let after_id = '';

  const keyOf = ({ project_id, workflow_run_id }: RunKey): RunKey => ({
    project_id,
    workflow_run_id,
  });

  /** One that fails holds up no other. */
  async function each<Finding>(
    findings: readonly Finding[],
    act: (finding: Finding) => Promise<void>,
  ): Promise<void> {
    for (const finding of findings)
      await act(finding).catch((error: unknown) => onError(error, 'the reaper of workflow runs'));
  }

  /** Whether the event changed anything. */
  const deliver = (key: RunKey, event: Event): Promise<boolean> =>
    db.transaction(async (tx) => {
      const run = await progression.open(tx, key);
      if (!run) return false;
      return (await progression.deliver(tx, run, event, 'reaper')).kind === 'changes';
    });

  const parts: ((page: Page) => Promise<void>)[] = [
    async (page) =>
      each(
        await store.listOrphanSteps(db, { ...page, ...found, terminal: [...TERMINAL_STATES] }),
        async ({ job_run_id: run_id, step_run_id, step_ref, ...key }) => {
          if (await endings.tellStepsAgain([{ run_id, workflow_step_run_id: step_run_id }]))
            onReaped({ ...key, action: 'orphan_step', step_ref });
        },
      ),
    async (page) =>
      each(
        await store.listOrphanChildren(db, { ...page, ...found }),
        async ({ child_run_id, step_ref, ...key }) => {
          const child = { project_id: key.project_id, child_run_id };
          if ((await store.tellAgain(db, child)) === 0) return;
          await wakeLoops(db, { what: ['news'] });
          onReaped({ ...key, action: 'orphan_child', step_ref });
        },
      ),
    async (page) =>
      each(await store.listForgottenWaits(db, { ...page, ...found }), async (wait) => {
        if (await deliver(keyOf(wait), eventOf(wait)))
          onReaped({ ...keyOf(wait), action: 'forgotten_wait', step_ref: wait.step_ref });
      }),
    async (page) =>
      each(
        await store.listStrayChildren(db, { ...page, ...found }),
        async ({ parent_status, ...key }) => {
          const isOver = !['pending', 'running', 'paused'].includes(parent_status);
          const why = isOver ? `parent workflow ${parent_status}` : 'the step was ended';
          if (await deliver(key, { kind: 'cancel', run_error: why, step_error: why }))
            onReaped({ ...key, action: 'stray_child' });
        },
      ),
    async (page) => {
      const { stall_threshold_secs: threshold_secs } = settings;
      const stalled = await store.listStalled(db, { ...page, threshold_secs, limit: FINDINGS });
      await each(stalled, async (key) => onReaped({ ...key, action: await unstall(key) }));
    },
  ];

  async function unstall(key: RunKey): Promise<ReaperAction> {
    const { stall_action } = settings;
    if (stall_action === 'reconcile' && (await deliver(key, { kind: 'reconsider' })))
      return 'stalled_run_reconciled';
    const error = 'workflow stalled';
    if (stall_action === 'fail_workflow' && (await deliver(key, { kind: 'fail', error })))
      return 'stalled_run_failed';
    return 'stalled_run';
  }

  return {
    /** One round; through all runs that have not ended unless they are very many. */
    async sweep(signal: AbortSignal): Promise<void> {
      for (let pages = 0; pages < PAGES && !signal.aborted; pages += 1) {
        const runs = await store.listPage(db, { after_id, limit: PAGE });
        const to_id = runs.at(-1)?.id;
        if (to_id !== undefined)
          for (const part of parts)
            await part({ after_id, to_id }).catch((error: unknown) =>
              onError(error, 'a part of the reaper of workflow runs'),
            );
        after_id = runs.length === PAGE && to_id !== undefined ? to_id : '';
        if (after_id === '') return;
      }
    },
  };
}

/** What the step would have been told. */
function eventOf({
  step_ref,
  state,
  trigger_id,
  trigger_status,
  response_payload,
  sent_by,
}: store.ListForgottenWaitsRow): Event {
  if (trigger_status === 'timed_out') return { kind: 'event_timed_out', step_ref, trigger_id };
  if (state === 's') return { kind: 'sleep_over', step_ref, trigger_id };
  if (trigger_status !== 'received') return { kind: 'event_canceled', step_ref, trigger_id };
  const payload = response_payload as JsonValue;
  return { kind: 'event_received', step_ref, trigger_id, payload, sent_by };
}
