// From facts to blockers, in the order in which a run meets them. Pure.

import type { DelayStep } from '../../domain/delay.ts';

/** Every kind, in the order in which a run meets them. docs/why.md says what each means. */
export const blockerKinds = [
  'ended',
  'moving',
  'held',
  'delayed',
  'retry_backoff',
  'rate_limit',
  'execution_window',
  'database_unavailable',
  'waiting_event',
  'waiting_child',
  'dependency',
  'job_disabled',
  'job_paused',
  'group_paused',
  'project_paused',
  'endpoint_closed',
  'key_limit',
  'job_limit',
  'endpoint_concurrency',
  'project_limit',
  'budget',
  'no_worker',
] as const;

export type BlockerKind = (typeof blockerKinds)[number];

export interface Call {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
}

export interface Blocker {
  readonly kind: BlockerKind;
  readonly message: string;
  readonly until?: string | undefined;
  readonly holders?: readonly string[] | undefined;
  readonly unblock?: Call | undefined;
}

/** What is in the way of the job of the run. */
export interface JobFacts {
  readonly job_slug: string;
  readonly job_disabled: boolean;
  readonly job_paused: boolean;
  readonly group_paused: boolean;
  readonly group_id: string | null;
  readonly project_paused: boolean;
  /** The endpoint fails: its breaker is open or its health blocks it, and this run is not the one that tries it again. */
  readonly endpoint_closed: boolean;
  readonly probe_at: string | null;
}

/** Who paused, where that is known. */
export interface Actors {
  readonly job?: string | undefined;
  readonly group?: string | undefined;
  readonly project?: string | undefined;
}

export const by = (actor: string | undefined): string =>
  actor === undefined ? '' : ` by ${actor}`;

export function jobBlockers(job: JobFacts, actors: Actors = {}): Blocker[] {
  const path = `/v1/jobs/${job.job_slug}`;
  const blockers: Blocker[] = [];
  if (job.job_disabled)
    blockers.push({
      kind: 'job_disabled',
      message: 'the job is disabled',
      unblock: { method: 'PATCH', path, body: { enabled: true } },
    });
  if (job.job_paused)
    blockers.push({
      kind: 'job_paused',
      message: `the job was paused${by(actors.job)}`,
      unblock: { method: 'POST', path: `${path}/resume` },
    });
  if (job.group_paused)
    blockers.push({
      kind: 'group_paused',
      message: `the group of the job was paused${by(actors.group)}`,
      unblock: { method: 'POST', path: `/v1/job-groups/${job.group_id}/resume-all` },
    });
  if (job.project_paused)
    blockers.push({
      kind: 'project_paused',
      message: `the queue of the project was paused${by(actors.project)}`,
      unblock: { method: 'POST', path: '/v1/queue/resume' },
    });
  if (job.endpoint_closed) blockers.push(endpointBlocker(job.probe_at));
  return blockers;
}

export const endpointBlocker = (probe_at: string | null): Blocker => ({
  kind: 'endpoint_closed',
  message: `the endpoint of the job fails: closed until ${probe_at}, then one run tries it again`,
  until: probe_at ?? undefined,
});

export interface DelayFacts {
  readonly now: string;
  readonly due_at: string;
  readonly status: string;
  readonly attempt: number;
  /** Why, where anybody but caller and back-off had a say. */
  readonly reason: readonly DelayStep[] | null;
}

const stepMessage = ({ kind, until, limit }: DelayStep, { attempt }: DelayFacts): string => {
  switch (kind) {
    case 'delayed':
      return `delayed until ${until}`;
    case 'retry_backoff':
      return `attempt ${attempt} is due at ${until}`;
    case 'rate_limit':
      return `rate limit of ${limit}: the next token is at ${until}`;
    case 'execution_window':
      return `outside the execution window of the job until ${until}`;
    case 'endpoint_closed':
      return `the endpoint that the run's version calls is closed until ${until}`;
    case 'database_unavailable':
      return `the database could not prepare the attempt; again at ${until}`;
  }
};

/** What of a delay is still to come; nothing once the instant is there. */
export function delayBlockers(facts: DelayFacts, unblock: Call | undefined): Blocker[] {
  const { due_at, reason, status } = facts;
  const steps: readonly DelayStep[] = reason ?? [
    { kind: status === 'delayed' ? 'delayed' : 'retry_backoff', until: due_at },
  ];
  return steps
    .map((step, index) => (index === steps.length - 1 ? { ...step, until: due_at } : step))
    .filter(({ until }) => Date.parse(until) > Date.parse(facts.now))
    .map((step) => ({
      kind: step.kind,
      message: stepMessage(step, facts),
      until: step.until,
      unblock,
    }));
}

/** A level of limits as a waiting run meets it. */
export interface Level {
  readonly kind: 'key_limit' | 'job_limit' | 'endpoint_concurrency' | 'project_limit';
  /** `key k`, `the job`, `endpoint u`, `the project`. */
  readonly name: string;
  readonly cap: number | null;
  readonly in_flight: number | null;
  /** Better ranked runs that would get the room first. */
  readonly ahead: number;
  /** The keys of the job share it: what this run's key has of it and is due. */
  readonly share?: KeyShare | undefined;
}

export interface KeyShare {
  readonly name: string;
  readonly in_flight: number;
  readonly due: number;
  readonly min: number;
  readonly weight: number;
}

const shareText = ({ name, in_flight, due, min, weight }: KeyShare): string =>
  `; ${name} has ${in_flight}, its share is ${Math.round(due * 100) / 100} (min ${min}, weight ${weight})`;

/** The same arithmetic as promotion: let through while `ahead < room`. */
export const isFull = ({ cap, in_flight, ahead }: Level): boolean =>
  cap !== null && ahead >= Math.max(cap - (in_flight ?? 0), 0);

export function levelBlocker(level: Level, holders: readonly string[], unblock?: Call): Blocker {
  const { kind, name, cap, ahead, share } = level;
  const in_flight = level.in_flight ?? 0;
  const taken =
    kind === 'endpoint_concurrency'
      ? `${name} takes ${cap} at a time now (adaptive), ${in_flight} in flight`
      : `${name}: ${in_flight} of ${cap} in flight`;
  const runs = ahead === 1 ? 'run' : 'runs';
  const first = share
    ? `${ahead} ${runs} of keys that are served first`
    : `${ahead} better ranked ${runs}`;
  const rest = `${first} ${ahead === 1 ? 'waits' : 'wait'} for the rest`;
  const message = in_flight >= (cap ?? 0) ? taken : `${taken}, and ${rest}`;
  return { kind, message: message + (share ? shareText(share) : ''), holders, unblock };
}

/** When it is probably its turn: those ahead in rounds of as many as run at a time, after the round that runs now. */
export function estimatedStart(
  now: string,
  { ahead, at_a_time, secs }: { ahead: number; at_a_time: number | null; secs: number },
): string | undefined {
  if (secs <= 0 || at_a_time === null || at_a_time <= 0) return undefined;
  const rounds = Math.floor(ahead / at_a_time) + 1;
  return new Date(Date.parse(now) + rounds * secs * 1000).toISOString();
}
