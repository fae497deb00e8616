import type { Caller, ProjectScope } from '../../domain/caller.ts';
import type { RequestContext } from '../../platform/http/define-api.ts';
import type { Tx } from '../../platform/db/database.ts';
import * as store from './store.sql.ts';

/** Who did it, and from where. */
export interface AuditSource {
  readonly actor_id: string;
  readonly actor_type: 'api_key' | 'user' | 'internal' | 'system';
  readonly ip_address?: string | null;
  readonly user_agent?: string | null;
}

export interface AuditEvent {
  /** `<resource>.<verb>`, as clients filter on it. */
  readonly action: string;
  readonly resource_type: string;
  readonly resource_id?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  /** Of an update: only the fields that changed; secrets as `[redacted]`. */
  readonly changes?: Readonly<
    Record<string, { readonly before: unknown; readonly after: unknown }>
  >;
}

const maxUserAgent = 512;

export function actorOf(
  context: Pick<RequestContext<Caller, unknown>, 'caller' | 'ip' | 'user_agent'>,
): AuditSource {
  return {
    actor_id: context.caller.actor_id,
    actor_type: context.caller.kind,
    ip_address: context.ip || null,
    user_agent: context.user_agent.slice(0, maxUserAgent) || null,
  };
}

export async function recordAudit(
  tx: Tx,
  { project_id }: Pick<ProjectScope, 'project_id'>,
  source: AuditSource,
  event: AuditEvent,
): Promise<void> {
  await store.insertAuditEvent(tx, {
    project_id,
    actor_id: source.actor_id,
    actor_type: source.actor_type,
    action: event.action,
    resource_type: event.resource_type,
    resource_id: event.resource_id ?? null,
    details: event.details ?? {},
    changes: event.changes,
    ip_address: source.ip_address ?? null,
    user_agent: source.user_agent ?? null,
  });
}
