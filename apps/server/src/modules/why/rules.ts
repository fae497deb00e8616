// From facts to blockers, in the order in which a run meets them. Pure.

export interface Blocker {
  readonly kind: string;
  readonly message: string;
  readonly until?: string | undefined;
  readonly holders?: readonly string[] | undefined;
  readonly unblock?:
    | { readonly method: string; readonly path: string; readonly body?: unknown }
    | undefined;
}

/** What a pause or a switch says about the job of the run. */
export interface JobFacts {
  readonly job_slug: string;
  readonly job_disabled: boolean;
  readonly job_paused: boolean;
  readonly group_paused: boolean;
  readonly group_id: string | null;
  /** The endpoint fails: its breaker is open or its health blocks it. */
  readonly endpoint_closed: boolean;
  readonly probe_at: string | null;
}

export function jobBlockers(job: JobFacts): Blocker[] {
  const path = `/v1/jobs/${job.job_slug}`;
  return [
    ...(job.endpoint_closed
      ? [
          {
            kind: 'endpoint_closed',
            message: 'the endpoint of the job fails; one run will try it again',
            until: job.probe_at ?? undefined,
          },
        ]
      : []),
    ...(job.job_disabled
      ? [
          {
            kind: 'job_disabled',
            message: 'the job is disabled',
            unblock: { method: 'PATCH', path, body: { enabled: true } },
          },
        ]
      : []),
    ...(job.job_paused
      ? [
          {
            kind: 'job_paused',
            message: 'the job is paused',
            unblock: { method: 'POST', path: `${path}/resume` },
          },
        ]
      : []),
    ...(job.group_paused
      ? [
          {
            kind: 'group_paused',
            message: 'the group of the job is paused',
            unblock: { method: 'POST', path: `/v1/job-groups/${job.group_id}/resume-all` },
          },
        ]
      : []),
  ];
}

/** A level of limits as a waiting run meets it. */
export interface Level {
  readonly kind: 'key_limit' | 'job_limit' | 'endpoint_concurrency' | 'project_limit';
  /** `key k`, `the job`, `the project`. */
  readonly name: string;
  /** Of a limit that moves by itself, said before the numbers. */
  readonly adapts?: boolean;
  readonly cap: number | null;
  readonly in_flight: number | null;
  /** Better ranked runs that would get the room first. */
  readonly ahead: number;
  readonly unblock?: Blocker['unblock'];
}

/** Undefined: this level lets the run through. The same arithmetic as promotion: admitted while `ahead < room`. */
export function levelBlocker(level: Level, holders: readonly string[]): Blocker | undefined {
  const { cap, ahead } = level;
  if (cap === null) return undefined;
  const in_flight = level.in_flight ?? 0;
  const room = Math.max(cap - in_flight, 0);
  if (ahead < room) return undefined;
  const taken = level.adapts
    ? `${level.name} takes ${cap} at a time now (adaptive), ${in_flight} in flight`
    : `${level.name}: ${in_flight} of ${cap} in flight`;
  return {
    kind: level.kind,
    message:
      room === 0
        ? taken
        : `${taken}, and ${ahead} better ranked ${ahead === 1 ? 'run waits' : 'runs wait'} for the rest`,
    holders,
    unblock: level.unblock,
  };
}

/** When it is probably its turn: those ahead in rounds of as many as run at a time. */
export function estimatedStart(
  now_ms: number,
  ahead: number,
  at_a_time: number | null,
  duration_secs: number,
): string | undefined {
  if (duration_secs <= 0 || at_a_time === null || at_a_time <= 0) return undefined;
  const rounds = Math.floor(ahead / at_a_time) + 1;
  return new Date(now_ms + rounds * duration_secs * 1000).toISOString();
}
