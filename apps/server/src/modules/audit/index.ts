// Who changed what, when and from where. Events never change once written.
// Promise: recorded in the same transaction as the change, so neither exists without the other.

export { actorOf, recordAudit } from './service.ts';
export type { AuditEvent, AuditSource } from './service.ts';
