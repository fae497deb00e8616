// Making jobs: one, many, or a copy of one. All take the same way into the table.
import { newVersionId } from '../../domain/version-id.ts';
import type { Database, Tx } from '../../platform/db/database.ts';
import { recordAudit, type AuditSource } from '../audit/index.ts';
import type { ProjectScope } from '../access/index.ts';
import { newDefinition, type Judges, type Refusal, type RequestFields } from './definition.ts';
import { referenceProblems } from './references.ts';
import type { ScheduleReaction } from './schedule-reaction.ts';
import type { JobSecrets, SecretInput } from './secrets.ts';
import type { JobSettings } from './settings.ts';
import * as store from './store.sql.ts';

export interface Creating {
  readonly db: Database;
  readonly judges: Judges;
  readonly secrets: JobSecrets;
  readonly onScheduleChanged: ScheduleReaction;
}

/** A request for a job, with the path under which its fields stand in the body. */
export interface NewJob {
  readonly input: RequestFields & SecretInput;
  readonly at: string;
}

export type Outcome = { readonly row: store.InsertJobsRow } | { readonly refusal: Refusal };

interface Accepted extends NewJob {
  readonly index: number;
  readonly settings: JobSettings;
}

/** One outcome per request, in order. Those accepted come into being together. */
export async function createAll(
  { db, judges, secrets, onScheduleChanged }: Creating,
  project: ProjectScope,
  by: AuditSource,
  requests: readonly NewJob[],
  audit: { readonly action: string; readonly details?: Readonly<Record<string, unknown>> },
): Promise<Outcome[]> {
  const judged = await Promise.all(
    requests.map(({ input, at }) => newDefinition(judges, input, at)),
  );
  return db.tenant(project.project_id, async (tx) => {
    const outcomes = new Map<number, Outcome>();
    const accepted: Accepted[] = [];
    for (const [index, request] of requests.entries()) {
      const judgement = judged[index];
      if (judgement && 'settings' in judgement) accepted.push({ ...request, ...judgement, index });
      else if (judgement) outcomes.set(index, judgement);
    }
    const candidates = await withoutRefused(tx, project, accepted, outcomes);
    const ids =
      candidates.length === 0 ? [] : await store.newJobIds(tx, { amount: candidates.length });
    const rows = candidates.map(({ settings, input }, position) => {
      const { id = '' } = ids[position] ?? {};
      const sealed = secrets.seal(input, { ...project, job_id: id });
      return { ...settings, ...sealed, id, version_id: newVersionId() };
    });
    const created =
      rows.length === 0
        ? []
        : await store.insertJobs(tx, { ...project, actor_id: by.actor_id, rows });
    const scheduled = created.filter(({ cron }) => cron !== null);
    if (scheduled.length > 0) await onScheduleChanged(tx, project, scheduled);
    const byId = new Map(created.map((row) => [row.id, row]));
    for (const [position, { index, at, settings }] of candidates.entries()) {
      const row = byId.get(rows[position]?.id ?? '');
      outcomes.set(index, row ? { row } : { refusal: slugTaken(at, settings.slug) });
      if (!row) continue;
      const details = { name: row.name, slug: row.slug, ...audit.details };
      await recordAudit(tx, project, by, {
        action: audit.action,
        resource_type: 'job',
        resource_id: row.id,
        details,
      });
    }
    return requests.map((_, index) => outcomes.get(index) ?? { refusal: limitReached(0) });
  });
}

/** What only the database knows: groups, environments, the project's limit. */
async function withoutRefused(
  tx: Tx,
  project: ProjectScope,
  accepted: readonly Accepted[],
  outcomes: Map<number, Outcome>,
): Promise<Accepted[]> {
  const refusalFor = await referenceProblems(tx, project, accepted);
  const known = accepted.filter((candidate) => {
    const refusal = refusalFor(candidate);
    if (refusal) outcomes.set(candidate.index, { refusal });
    return !refusal;
  });
  const limit = known.length === 0 ? undefined : await store.lockJobLimit(tx, project);
  if (!limit) return known;
  const { jobs } = await store.countJobs(tx, project);
  const room = Math.max(0, limit.max_jobs - jobs);
  for (const { index } of known.slice(room)) {
    outcomes.set(index, { refusal: limitReached(limit.max_jobs) });
  }
  return known.slice(0, room);
}

export function slugTaken(at: string, slug: string): Refusal {
  const message = 'another job of the project has this slug';
  return {
    code: 'job_slug_taken',
    message: `${message}: ${slug}`,
    details: [{ path: `${at}.slug`, message }],
  };
}

function limitReached(max_jobs: number): Refusal {
  return {
    code: 'job_limit_reached',
    message: `the project may have ${max_jobs} jobs`,
    details: [],
  };
}
