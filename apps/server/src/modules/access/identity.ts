// Who a caller is in a project, beyond what it may do.
import type { Caller, ProjectScope } from '../../domain/caller.ts';
import type { Queryable } from '../../platform/db/query.ts';
import * as store from './store.sql.ts';

export interface Identity {
  readonly actor_id: string;
  /** Of a user: as said with this request, else as it was seen last. */
  readonly email?: string;
  /** Name of the role that a user has in the project. */
  readonly role?: string;
}

export async function identityOf(
  db: Queryable,
  { project_id }: ProjectScope,
  caller: Caller,
): Promise<Identity> {
  const { actor_id } = caller;
  if (caller.kind !== 'user') return { actor_id };
  const { email, role } = await store.findIdentity(db, { project_id, user_id: actor_id });
  const known = caller.email ?? email;
  return {
    actor_id,
    ...(known === null ? {} : { email: known }),
    ...(role === null ? {} : { role }),
  };
}
