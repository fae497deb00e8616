// Generated from store.sql by `npm run generate`. Do not edit.
import { count, type Queryable } from '../../platform/db/query.ts';

export interface InsertAuditEventParams {
  readonly project_id: string;
  readonly actor_id: string;
  readonly actor_type: string;
  readonly action: string;
  readonly resource_type: string;
  readonly resource_id: string | null;
  readonly details: unknown;
  readonly changes: unknown;
  readonly ip_address: string | null;
  readonly user_agent: string | null;
}

const insertAuditEventText = `insert into audit_events (project_id, actor_id, actor_type, action, resource_type, resource_id,
                          details, changes, ip_address, user_agent)
values ($1, $2, $3, $4, $5, $6,
        $7::jsonb, $8::jsonb, $9, $10)`;

export function insertAuditEvent(db: Queryable, params: InsertAuditEventParams): Promise<number> {
  return count(db, {
    text: insertAuditEventText,
    values: [
      params.project_id,
      params.actor_id,
      params.actor_type,
      params.action,
      params.resource_type,
      params.resource_id,
      JSON.stringify(params.details),
      params.changes == null ? null : JSON.stringify(params.changes),
      params.ip_address,
      params.user_agent,
    ],
  });
}
