// Who is calling, and which project the call may touch.

declare const madeByAccess: unique symbol;

/**
 * Proof that the caller may work in this project. Spread it into statement parameters:
 * `store.findJob(db, { ...project, job_id })`.
 */
export interface ProjectScope {
  readonly project_id: string;
  readonly [madeByAccess]: true;
}

/**
 * For code that acts on a row it already holds (loops, a run calling home), never on a project
 * named by a request: those get their scope from the dispatcher.
 */
export function projectScope(project_id: string): ProjectScope {
  return { project_id } as ProjectScope;
}

interface Actor {
  /** `apikey:<id>`, the user's id, `internal`, or `run:<id>`; what audit and `created_by` record. */
  readonly actor_id: string;
}

export interface ApiKeyCaller extends Actor {
  readonly kind: 'api_key';
  readonly key_id: string;
  readonly project_id: string;
  readonly scopes: readonly string[];
  readonly environment_id?: string;
  readonly rate_limit?: {
    readonly bucket: string;
    readonly requests: number;
    readonly window_secs: number;
  };
}

export interface UserCaller extends Actor {
  readonly kind: 'user';
  /** Named by X-Project-Id or the query; absent until the body names it. */
  readonly project_id?: string;
}

export interface InternalCaller extends Actor {
  readonly kind: 'internal';
  readonly project_id?: string;
}

export interface RunCaller extends Actor {
  readonly kind: 'run';
  readonly run_id: string;
  readonly attempt: number;
  readonly claim_seq: number;
}

/** Callers of the management API. */
export type Caller = ApiKeyCaller | UserCaller | InternalCaller;
export type AnyCaller = Caller | RunCaller;
