// What a caller needs depends on who waits: steps belong to workflows, runs to jobs. An operation lets in whoever holds
// either permission; what is found decides which one it had to be.

import type { Caller } from '../../domain/caller.ts';
import type { FailureCode } from '../../domain/failures.ts';
import type { Permission } from '../../domain/permissions.ts';
import { Failure } from '../../platform/failure.ts';
import type { Access, ProjectScope } from '../access/index.ts';

export type SourceType = 'workflow_step' | 'job_run';
export const SOURCE_TYPES: readonly SourceType[] = ['workflow_step', 'job_run'];

const NEEDED = {
  read: { workflow_step: 'workflows:read', job_run: 'jobs:read' },
  send: { workflow_step: 'workflows:trigger', job_run: 'jobs:trigger' },
  cancel: { workflow_step: 'workflows:write', job_run: 'runs:write' },
} as const satisfies Readonly<Record<string, Readonly<Record<SourceType, Permission>>>>;

type Deed = keyof typeof NEEDED;

/** Whoever asks, in his project. */
export interface Asker {
  readonly project: ProjectScope;
  readonly caller: Caller;
}

/** As triggers show it: `user:<id>`, `apikey:<id>` or `internal`. */
export const senderOf = ({ kind, actor_id }: Caller): string =>
  kind === 'user' ? `user:${actor_id}` : actor_id;

export interface Allowed {
  readonly sources: readonly SourceType[];
  /** @throws forbidden */
  readonly require: (source: string) => void;
}

export type Rights = ReturnType<typeof createRights>;

/** `authorize` throws `forbidden`. */
export const createRights =
  ({ authorize }: Pick<Access['control'], 'authorize'>) =>
  async ({ project: { project_id }, caller }: Asker, deed: Deed): Promise<Allowed> => {
    const sources: SourceType[] = [];
    for (const source of SOURCE_TYPES) {
      try {
        if (await authorize(caller, NEEDED[deed][source], { project_id, params: {} }))
          sources.push(source);
      } catch (error) {
        if (!(error instanceof Failure) || error.code !== 'forbidden') throw error;
      }
    }
    return {
      sources,
      require(source) {
        if (sources.some((allowed) => allowed === source)) return;
        const permission = NEEDED[deed][source === 'job_run' ? 'job_run' : 'workflow_step'];
        throw new Failure<FailureCode>('forbidden', {
          message: `this needs the permission ${permission}`,
        });
      },
    };
  };
