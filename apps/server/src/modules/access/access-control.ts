// Answers the dispatcher's questions: who is this, may they, and in which project.

import type { AnyCaller, ProjectScope, RunCaller, UserCaller } from '../../domain/caller.ts';
import type { FailureCode } from '../../domain/failures.ts';
import { holds, permissions } from '../../domain/permissions.ts';
import type { Permission } from '../../domain/permissions.ts';
import { verifyRunToken } from '../../platform/crypto/run-token.ts';
import { matchesAnySecret } from '../../platform/crypto/secret-compare.ts';
import type { Database } from '../../platform/db/database.ts';
import { Failure } from '../../platform/failure.ts';
import type { AccessControl, Credentials } from '../../platform/http/access-control.ts';
import type { LimitState } from '../../platform/http/rate-limit.ts';
import type { Projects } from '../projects/index.ts';
import type { KeyLookup } from './key-lookup.ts';
import { projectScope } from './project-scope.ts';
import { hashKey, looksLikeKey } from './rules.ts';
import type { UsageRecorder } from './usage-recorder.ts';
import * as store from './store.sql.ts';

export interface AccessControlDeps {
  readonly db: Database;
  readonly findKey: KeyLookup;
  readonly usage: UsageRecorder;
  readonly projects: Pick<Projects, 'exists'>;
  /** One, or two while it is being replaced. */
  readonly internal_secrets: readonly string[];
  /** Keys run tokens may be signed with. */
  readonly run_token_keys: readonly string[];
  readonly now: () => number;
  /** Counts one call in a window shared by all processes; undefined = could not tell. */
  readonly hitWindow: (
    bucket: string,
    requests: number,
    window_secs: number,
  ) => Promise<LimitState | undefined>;
}

const defaultWindowSecs = 60;

export function createAccessControl(
  deps: AccessControlDeps,
): AccessControl<AnyCaller, ProjectScope> {
  return {
    authenticate: async (credentials) =>
      (await keyCaller(deps, credentials)) ?? internalCaller(deps, credentials) ?? refuse(),

    authenticateRun({ headers }): RunCaller {
      const token = bearer(headers.authorization);
      const now_secs = Math.floor(deps.now() / 1000);
      const claims = token && verifyRunToken(token, deps.run_token_keys, now_secs);
      if (!claims) return refuse();
      return { kind: 'run', actor_id: `run:${claims.run_id}`, ...claims };
    },

    async authorize(caller, permission, { project_id, params }) {
      if (caller.kind === 'run') {
        if (params['runID'] !== caller.run_id) throw failure('run_token_mismatch');
        return true;
      }
      if (permission === 'authenticated' || caller.kind === 'internal') return true;
      const wanted = permissions.find((known) => known === permission);
      if (!wanted) throw new Error(`nobody knows the permission ${permission}`);
      if (caller.kind === 'user' && project_id === undefined) return false;
      const held = await heldScopes(deps.db, caller, project_id);
      if (!holds(held, wanted)) throw forbidden(wanted);
      return true;
    },

    project(caller, named) {
      if (caller.kind === 'run') return undefined;
      const names = [named.header, named.query, named.body].filter(
        (name): name is string => typeof name === 'string' && name !== '',
      );
      const project_id = (caller.kind === 'api_key' ? caller.project_id : undefined) ?? names[0];
      if (project_id === undefined) return undefined;
      if (names.some((name) => name !== project_id)) throw failure('project_mismatch');
      if (!/^[\x21-\x7e]{1,255}$/.test(project_id)) {
        throw new Failure<FailureCode>('invalid_request', {
          message: 'a project id has 1–255 visible ASCII characters',
        });
      }
      return projectScope(project_id);
    },

    // A key is proof that its project is there; the internal secret opens whatever id is named.
    admit: (caller, { project_id }) =>
      caller.kind === 'api_key' || caller.kind === 'run'
        ? undefined
        : requireProject(deps, project_id),

    throttle(caller) {
      const limit = caller.kind === 'api_key' ? caller.rate_limit : undefined;
      return limit && deps.hitWindow(limit.bucket, limit.requests, limit.window_secs);
    },

    bucketOf(caller) {
      if (caller.kind === 'internal') return undefined;
      return caller.kind === 'user' ? `user:${caller.actor_id}` : caller.actor_id;
    },
  };
}

async function requireProject({ projects }: AccessControlDeps, project_id: string): Promise<void> {
  if (!(await projects.exists(project_id))) throw failure('project_not_found');
}

/** What the caller holds in the project; `['*']` for the internal secret. */
export async function heldScopes(
  db: Database,
  caller: AnyCaller,
  project_id: string | undefined,
): Promise<readonly string[]> {
  switch (caller.kind) {
    case 'api_key':
      return caller.scopes;
    case 'internal':
      return ['*'];
    case 'run':
      return [];
    case 'user': {
      if (project_id === undefined) return [];
      const found = await store.memberPermissions(db, { project_id, user_id: caller.actor_id });
      return found.permissions;
    }
  }
}

async function keyCaller(
  { findKey, usage }: AccessControlDeps,
  { headers, query_token }: Credentials,
): Promise<AnyCaller | undefined> {
  const in_header =
    headers.authorization !== undefined || headers['x-internal-secret'] !== undefined;
  const token = in_header ? bearer(headers.authorization) : query_token;
  if (token === undefined || !token.startsWith('strait_')) return undefined;
  const key = looksLikeKey(token) ? await findKey(hashKey(token)) : undefined;
  if (!key) return refuse();
  usage.used(key.id);
  const requests = key.rate_limit_requests ?? 0;
  return {
    kind: 'api_key',
    actor_id: `apikey:${key.id}`,
    key_id: key.id,
    project_id: key.project_id,
    scopes: key.scopes,
    ...(key.environment_id === null ? {} : { environment_id: key.environment_id }),
    ...(requests > 0 && {
      rate_limit: {
        bucket: key.limit_of_project ? `project:${key.project_id}` : `apikey:${key.id}`,
        requests,
        window_secs: key.rate_limit_window_secs || defaultWindowSecs,
      },
    }),
  };
}

function internalCaller(
  { internal_secrets, usage }: AccessControlDeps,
  { headers }: Credentials,
): AnyCaller | undefined {
  const given = text(headers['x-internal-secret']);
  if (!given || !matchesAnySecret(given, internal_secrets)) return undefined;
  const project_id = text(headers['x-project-id']);
  const of_project = project_id === undefined ? {} : { project_id };
  const actor_id = text(headers['x-actor-id']);
  if (actor_id === undefined) return { kind: 'internal', actor_id: 'internal', ...of_project };
  const email = text(headers['x-actor-email']);
  const user: UserCaller = {
    kind: 'user',
    actor_id,
    ...of_project,
    ...(email === undefined ? {} : { email }),
  };
  usage.seen({
    id: actor_id,
    email: email ?? null,
    name: text(headers['x-actor-name']) ?? null,
  });
  return user;
}

function bearer(header: string | undefined): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(header ?? '')?.[1];
}

/** Undefined for an absent or empty header; longer than 512 characters is cut. */
function text(header: string | string[] | undefined): string | undefined {
  const value = (Array.isArray(header) ? header[0] : header)?.trim();
  return value ? value.slice(0, 512) : undefined;
}

const failure = (code: FailureCode) => new Failure(code);

/** The same for unknown, expired, revoked and missing: nobody learns which. */
function refuse(): never {
  throw failure('unauthorized');
}

function forbidden(permission: Permission): Failure {
  return new Failure<FailureCode>('forbidden', {
    message: `this needs the permission ${permission}`,
  });
}
