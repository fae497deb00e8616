// Who is calling, and which project the call may touch.

declare const madeByAccess: unique symbol;

/**
 * Only modules/access makes one. Proof that the caller may work in this project. Spread it into statement parameters:
 * `store.findJob(db, { ...project, job_id })`.
 */
export interface ProjectScope {
  readonly project_id: string;
  readonly [madeByAccess]: true;
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
  /** As whoever authenticated the user said with this request. */
  readonly email?: string;
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
  /** Null in the token a trigger answers with: good for attempt 1 only. */
  readonly claim_seq: number | null;
}

/** Callers of the management API. */
export type Caller = ApiKeyCaller | UserCaller | InternalCaller;
export type AnyCaller = Caller | RunCaller;
