// What the dispatcher asks of whoever knows keys, users and projects.

import type { IncomingHttpHeaders } from 'node:http';
import type { LimitState } from './rate-limit.ts';

export interface Credentials {
  readonly headers: IncomingHttpHeaders;
  /** `?token=`, on operations that accept it. */
  readonly query_token?: string | undefined;
}

/** Places where a request can name its project; the first that does wins, and all must agree. */
export interface NamedProject {
  readonly header?: unknown;
  readonly query?: unknown;
  readonly body?: unknown;
}

export interface Target {
  readonly project_id: string | undefined;
  readonly params: Readonly<Record<string, string>>;
}

export interface AccessControl<Caller, Project extends { readonly project_id: string }> {
  /** Throws Failure `unauthorized`; the same for every reason. */
  authenticate(credentials: Credentials): Promise<Caller>;
  /** The same for run tokens. */
  authenticateRun(credentials: Credentials): Caller;
  /**
   * Throws Failure `forbidden` unless the caller may. False = cannot tell before the project is known:
   * ask again with it.
   */
  authorize(caller: Caller, permission: string, target: Target): Promise<boolean>;
  /** Throws when the request names a project that is not the caller's, or two different ones. */
  project(caller: Caller, named: NamedProject): Project | undefined;
  /** Throws when the caller may work in any project, but there is none of this id. */
  admit(caller: Caller, project: Project): Promise<void> | undefined;
  /** Counts one call against the caller's own limit, if it has one. */
  throttle(caller: Caller): Promise<LimitState | undefined> | undefined;
  /** What a route's own limit counts by; undefined = exempt. */
  bucketOf(caller: Caller): string | undefined;
}
