// Canaries: made, watched, promoted, rolled back. An end and the version that it makes current are one transaction.
import type { z } from 'zod';
import type { FailureCode } from '../../../domain/failures.ts';
import { isDatabaseUnavailable, type Database, type Tx } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import { projectScope, type ProjectScope } from '../../access/index.ts';
import { recordAudit, type AuditSource } from '../../audit/index.ts';
import { makeCurrent } from '../definitions/make-current.ts';
import * as definitions from '../definitions/store.sql.ts';
import type { CreateCanaryRequest, UpdateCanaryRequest } from './contract.ts';
import { judge, type AutoPromote } from './rules.ts';
import { canaryView, type CanaryRow, type CanaryView } from './view.ts';
import * as store from './store.sql.ts';

const BATCH = 100;
const SYSTEM: AuditSource = { actor_id: 'system:canary', actor_type: 'system' };
const NEVER: AutoPromote = {
  enabled: false,
  steps: [],
  interval_secs: 0,
  failure_rate_threshold: 0,
  latency_p99_threshold_secs: null,
};

type AutoPromoteInput = NonNullable<z.output<typeof CreateCanaryRequest>['auto_promote']>;
const fail = (code: FailureCode, message?: string) =>
  new Failure<FailureCode>(code, message === undefined ? {} : { message });

export type Canaries = ReturnType<typeof createCanaries>;

export function createCanaries({
  db,
  onError,
}: {
  readonly db: Database;
  readonly onError: (error: unknown, what: string) => void;
}) {
  async function hold(tx: Tx, project: ProjectScope, workflow: string) {
    const found = await definitions.lockWorkflow(tx, { ...project, workflow });
    if (!found) throw fail('workflow_not_found');
    return { ...project, workflow_id: found.id };
  }

  async function measure(tx: Tx, row: CanaryRow, version: number) {
    const { project_id, workflow_id, share_since: since } = row;
    return store.measureVersion(tx, { project_id, workflow_id, version, since });
  }

  const view = async (tx: Tx, row: CanaryRow): Promise<CanaryView> =>
    canaryView(row, {
      source: await measure(tx, row, row.source_version),
      target: await measure(tx, row, row.target_version),
    });

  async function end(
    tx: Tx,
    by: AuditSource,
    row: CanaryRow,
    status: 'completed' | 'rolled_back',
    reason: string,
  ): Promise<CanaryRow> {
    const { project_id, workflow_id, source_version, target_version } = row;
    const project = projectScope(project_id);
    const traffic_pct = status === 'completed' ? 100 : 0;
    const of = { canary_id: row.id, project_id, status, traffic_pct, reason };
    const ended = await store.endCanary(tx, of);
    if (!ended) throw fail('canary_not_active');
    const version = status === 'completed' ? target_version : source_version;
    await makeCurrent(tx, project, by, { workflow_id, version });
    await audit(tx, by, ended, status);
    return ended;
  }

  const audit = (tx: Tx, by: AuditSource, row: CanaryRow, what: string) =>
    recordAudit(tx, row, by, {
      action: `canary.${what}`,
      resource_type: 'workflow',
      resource_id: row.workflow_id,
      details: {
        canary_id: row.id,
        source_version: row.source_version,
        target_version: row.target_version,
        traffic_pct: row.traffic_pct,
        ...(row.reason !== null && { reason: row.reason }),
      },
    });

  async function share(
    tx: Tx,
    by: AuditSource,
    row: CanaryRow,
    traffic_pct: number,
    auto_promote: AutoPromote,
  ): Promise<CanaryRow> {
    const changed = await store.changeShare(tx, {
      canary_id: row.id,
      project_id: row.project_id,
      traffic_pct,
      auto_promote,
      due_in_secs: dueIn(auto_promote),
    });
    if (!changed) throw fail('canary_not_active');
    if (traffic_pct >= 100) return end(tx, by, changed, 'completed', 'all triggers get the target');
    if (traffic_pct !== row.traffic_pct) await audit(tx, by, changed, 'share_changed');
    return changed;
  }

  /** One of the two versions, by number. A version without steps could run nothing. */
  async function versionOf(
    tx: Tx,
    key: { readonly project_id: string; readonly workflow_id: string },
    field: string,
    ref: number | string,
  ): Promise<number> {
    const found = await store.findVersionSteps(tx, { ...key, version_ref: String(ref) });
    if (!found) throw fail('workflow_version_not_found', `body.${field}: there is no such version`);
    if (found.steps === 0) throw fail('invalid_canary', `body.${field}: the version has no steps`);
    return found.version;
  }

  async function tick(key: store.ListDueCanariesRow): Promise<void> {
    const { project_id, workflow_id, canary_id } = key;
    await db.tenant(project_id, async (tx) => {
      await hold(tx, projectScope(project_id), workflow_id);
      const row = await store.lockDueCanary(tx, { project_id, canary_id });
      if (!row) return;
      const auto = row.auto_promote as AutoPromote;
      const verdict = judge(row.traffic_pct, auto, await measure(tx, row, row.target_version));
      if (verdict.kind === 'roll_back') await end(tx, SYSTEM, row, 'rolled_back', verdict.reason);
      else {
        const next = verdict.kind === 'hold' ? row.traffic_pct : verdict.traffic_pct;
        await share(tx, SYSTEM, row, next, auto);
      }
    });
  }

  return {
    /** @throws workflow_not_found, workflow_version_not_found, canary_active, invalid_canary */
    create: (
      project: ProjectScope,
      by: AuditSource,
      input: z.output<typeof CreateCanaryRequest>,
    ): Promise<CanaryView> =>
      db.tenant(project.project_id, async (tx) => {
        const key = await hold(tx, project, input.workflow_id);
        const source_version = await versionOf(tx, key, 'source_version', input.source_version);
        const target_version = await versionOf(tx, key, 'target_version', input.target_version);
        if (source_version === target_version)
          throw fail('invalid_canary', 'body.target_version: is the source_version');
        const auto_promote = autoOf(input.auto_promote);
        const row = await store.insertCanary(tx, {
          ...key,
          source_version,
          target_version,
          traffic_pct: input.traffic_pct,
          auto_promote,
          due_in_secs: dueIn(auto_promote),
          actor_id: by.actor_id,
        });
        if (!row) throw fail('canary_active');
        await audit(tx, by, row, 'created');
        return view(
          tx,
          row.traffic_pct < 100 ? row : await share(tx, by, row, row.traffic_pct, auto_promote),
        );
      }),

    /** @throws workflow_not_found, canary_not_found */
    get: (project: ProjectScope, workflow: string): Promise<CanaryView> =>
      db.tenant(project.project_id, async (tx) => {
        const found = await definitions.findWorkflow(tx, { ...project, workflow });
        if (!found) throw fail('workflow_not_found');
        const row = await store.findCanary(tx, { ...project, workflow_id: found.id });
        if (!row) throw fail('canary_not_found');
        return view(tx, row);
      }),

    /** @throws workflow_not_found, canary_not_found, canary_not_active */
    update: (
      project: ProjectScope,
      by: AuditSource,
      workflow: string,
      { traffic_pct, auto_promote }: z.output<typeof UpdateCanaryRequest>,
    ): Promise<CanaryView> =>
      db.tenant(project.project_id, async (tx) => {
        const row = await store.findCanary(tx, await hold(tx, project, workflow));
        if (!row) throw fail('canary_not_found');
        const auto =
          auto_promote === undefined ? (row.auto_promote as AutoPromote) : autoOf(auto_promote);
        return view(tx, await share(tx, by, row, traffic_pct ?? row.traffic_pct, auto));
      }),

    /** @throws workflow_not_found, canary_not_found, canary_not_active */
    rollBack: (project: ProjectScope, by: AuditSource, workflow: string): Promise<CanaryView> =>
      db.tenant(project.project_id, async (tx) => {
        const row = await store.findCanary(tx, await hold(tx, project, workflow));
        if (!row) throw fail('canary_not_found');
        return view(tx, await end(tx, by, row, 'rolled_back', `by ${by.actor_id}`));
      }),

    /** Judges those that are due. One that cannot be judged stays due, and stops no other. */
    promote: async (): Promise<{ again: boolean }> => {
      const due = await store.listDueCanaries(db, { limit: BATCH });
      let judged = 0;
      for (const key of due) {
        try {
          await tick(key);
          judged += 1;
        } catch (error) {
          if (isDatabaseUnavailable(error)) throw error;
          onError(error, 'a canary');
        }
      }
      return { again: due.length === BATCH && judged > 0 };
    },
  };
}

const dueIn = ({ enabled, interval_secs }: AutoPromote): number | null =>
  enabled ? interval_secs : null;

const autoOf = (input: AutoPromoteInput | null | undefined): AutoPromote =>
  input == null
    ? NEVER
    : {
        enabled: input.enabled,
        steps: input.steps,
        interval_secs: input.interval,
        failure_rate_threshold: input.failure_rate_threshold,
        latency_p99_threshold_secs: input.latency_p99_threshold ?? null,
      };
