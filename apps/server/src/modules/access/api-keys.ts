// API keys: made, listed, replaced, revoked.

import type { Caller, ProjectScope } from '../../domain/caller.ts';
import type { FailureCode } from '../../domain/failures.ts';
import type { Database } from '../../platform/db/database.ts';
import { Failure } from '../../platform/failure.ts';
import { page } from '../../platform/http/pagination.ts';
import type { Cursor } from '../../platform/http/pagination.ts';
import { recordAudit } from '../audit/index.ts';
import type { AuditSource } from '../audit/index.ts';
import { heldScopes } from './access-control.ts';
import { makeKey, scopeBeyond, scopesToGrant } from './rules.ts';
import * as store from './store.sql.ts';

export interface ApiKeysDeps {
  readonly db: Database;
  /** Whether the project has this environment. */
  readonly environmentExists: (project: ProjectScope, environment_id: string) => Promise<boolean>;
}

export interface NewApiKey {
  readonly name: string;
  /** Absent or empty: those of the creator. */
  readonly scopes?: readonly string[];
  readonly expires_in_days?: number;
  readonly environment_id?: string;
  readonly rotation_interval_days?: number;
  readonly rate_limit_requests?: number;
  readonly rate_limit_window_secs?: number;
}

export type ApiKeys = ReturnType<typeof createApiKeys>;

const defaultGraceMinutes = 60;

export function createApiKeys({ db, environmentExists }: ApiKeysDeps) {
  return {
    async create(project: ProjectScope, creator: Caller, source: AuditSource, asked: NewApiKey) {
      const decision = scopesToGrant(
        asked.scopes,
        await heldScopes(db, creator, project.project_id),
      );
      if ('refused' in decision) throw refusal(decision.refused, decision.scope);
      const environment_id = asked.environment_id || null;
      if (environment_id !== null && !(await environmentExists(project, environment_id))) {
        throw new Failure<FailureCode>('environment_not_found');
      }
      const { key, ...stored } = makeKey();
      const row = await db.tenant(project.project_id, async (tx) => {
        const created = await store.insertKey(tx, {
          ...project,
          ...stored,
          name: asked.name,
          scopes: decision.scopes,
          environment_id,
          // 0 says the same as absent in all of these.
          expires_in_days: asked.expires_in_days || null,
          rotation_interval_days: asked.rotation_interval_days || null,
          rate_limit_requests: asked.rate_limit_requests || null,
          rate_limit_window_secs: asked.rate_limit_window_secs || null,
        });
        await recordAudit(tx, project, source, {
          action: 'api_key.created',
          resource_type: 'api_key',
          resource_id: created.id,
          details: { name: created.name, key_prefix: created.key_prefix, scopes: created.scopes },
        });
        return created;
      });
      return { ...row, key };
    },

    async list(
      project: ProjectScope,
      { limit, cursor }: { readonly limit: number; readonly cursor?: Cursor },
    ) {
      const rows = await db.tenant(project.project_id, (tx) =>
        store.listKeys(tx, {
          ...project,
          cursor_created_at: cursor?.created_at ?? null,
          cursor_id: cursor?.id ?? null,
          limit: limit + 1,
        }),
      );
      return page(rows, limit);
    },

    /** Nobody gets a key through rotation that goes beyond what he may do himself. */
    async rotate(
      project: ProjectScope,
      caller: Caller,
      source: AuditSource,
      key_id: string,
      grace_minutes = defaultGraceMinutes,
    ) {
      const held = await heldScopes(db, caller, project.project_id);
      const { key, ...stored } = makeKey();
      return db.tenant(project.project_id, async (tx) => {
        const old = await store.lockKey(tx, { ...project, key_id });
        if (!old) throw new Failure<FailureCode>('api_key_not_found');
        const beyond = scopeBeyond(old.scopes, held);
        if (beyond !== undefined) throw refusal('scope_not_held', beyond);
        if (!old.rotatable) throw new Failure<FailureCode>('api_key_not_rotatable');
        const { id: new_key_id, ...successor } = await store.copyKey(tx, {
          ...project,
          ...stored,
          key_id,
        });
        const { grace_expires_at } = await store.replaceKey(tx, {
          ...project,
          key_id,
          new_key_id,
          grace_minutes,
        });
        await recordAudit(tx, project, source, {
          action: 'api_key.rotate',
          resource_type: 'api_key',
          resource_id: key_id,
          details: { new_key_id, grace_expires_at },
        });
        return { ...successor, old_key_id: key_id, new_key_id, key, grace_expires_at };
      });
    },

    revoke: (project: ProjectScope, source: AuditSource, key_id: string) =>
      db.tenant(project.project_id, async (tx) => {
        const revoked = await store.revokeKey(tx, { ...project, key_id });
        if (!revoked) {
          const known = await store.lockKey(tx, { ...project, key_id });
          throw new Failure<FailureCode>(known ? 'api_key_revoked' : 'api_key_not_found');
        }
        await recordAudit(tx, project, source, {
          action: 'api_key.revoke',
          resource_type: 'api_key',
          resource_id: key_id,
          details: { name: revoked.name, key_prefix: revoked.key_prefix },
        });
        return { status: 'revoked' as const };
      }),
  };
}

function refusal(code: 'unknown_scope' | 'scope_not_held', scope: string): Failure {
  const message =
    code === 'unknown_scope'
      ? `unknown scope ${scope.slice(0, 100)}`
      : `the caller does not hold ${scope}`;
  return new Failure<FailureCode>(code, { message, details: [{ path: 'body.scopes', message }] });
}
