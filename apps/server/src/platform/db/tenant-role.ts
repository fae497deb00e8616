// The second lock on tenant data: a role under which PostgreSQL itself shows one project only. The
// first lock is the query generator. The owner of the tables is not bound by it, so batches that mix
// projects pay nothing. Tables that reach their project through a parent are covered by the first lock
// alone: a policy there would cost a look-up of the parent for every row.
import pg from 'pg';
import type { Queryable } from './query.ts';

export const TENANT_ROLE = 'strait_tenant';
const POLICY = 'tenant_isolation';

// An unset or empty setting matches no row. Partitions are reached through their root only: they get
// no grant, so new ones need no care.
const CONDITION = `project_id = current_setting('app.current_project_id', true)`;

const ROLE_STATE = `
  select r.rolsuper or r.rolcreaterole as may_create, t.oid is not null as exists_already,
         coalesce(pg_has_role(current_user, t.oid, 'set'), false) as may_take
    from pg_roles r left join pg_roles t on t.rolname = $1
   where r.rolname = current_user`;

/** Relations that are not as they should be, with what is missing; no rows when all is well. */
const UNSECURED = `
  select * from (
    select c.relname as name, c.relkind as kind,
           c.relkind in ('r', 'p') and has_project and not c.relrowsecurity as lacks_security,
           c.relkind in ('r', 'p') and has_project
             and not exists (select from pg_policy p where p.polrelid = c.oid and p.polname = $2) as lacks_policy,
           case when c.relkind = 'S' then not has_sequence_privilege(t.oid, c.oid, 'usage')
                when c.relkind = 'v' then not has_table_privilege(t.oid, c.oid, 'select')
                else not (has_table_privilege(t.oid, c.oid, 'select') and has_table_privilege(t.oid, c.oid, 'insert')
                      and has_table_privilege(t.oid, c.oid, 'update') and has_table_privilege(t.oid, c.oid, 'delete')) end as lacks_grant
      from pg_class c
      join pg_roles t on t.rolname = $1
     cross join lateral (select exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'project_id'
                                           and not a.attisdropped) as has_project) x
     where c.relkind in ('r', 'p', 'S', 'v') and not c.relispartition and c.relnamespace = current_schema()::regnamespace
       and c.relname <> 'schema_migrations'
       and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
       and pg_has_role(current_user, c.relowner, 'usage')) r
   where lacks_security or lacks_policy or lacks_grant
   order by name`;

const SCHEMA = `select has_schema_privilege($1, current_schema(), 'usage') as granted, current_schema()::text as name`;

interface RoleState {
  readonly may_create: boolean;
  readonly exists_already: boolean;
  readonly may_take: boolean;
}

interface Unsecured {
  readonly name: string;
  readonly kind: 'r' | 'p' | 'S' | 'v';
  readonly lacks_security: boolean;
  readonly lacks_policy: boolean;
  readonly lacks_grant: boolean;
}

/**
 * Makes the tenant role and its policies match the tables that are there; run after migrating, in one
 * transaction under a lock of the caller. Three short reads when nothing changed. Returns the role, or
 * undefined when the current role may neither create nor take it: the product then works without.
 */
export async function secureTenantTables(db: Queryable): Promise<string | undefined> {
  const state = await readState(db);
  if (!state?.may_take && !state?.may_create) return undefined;
  if (!state.exists_already) await execute(db, CREATE_ROLE);
  if (!state.may_take) {
    await execute(db, GRANT_ROLE);
    if (!(await readState(db))?.may_take) return undefined;
  }

  const role = pg.escapeIdentifier(TENANT_ROLE);
  const schema = (await read<{ granted: boolean; name: string }>(db, SCHEMA, [TENANT_ROLE]))[0];
  if (schema && !schema.granted) {
    await execute(db, `grant usage on schema ${pg.escapeIdentifier(schema.name)} to ${role}`);
  }
  for (const table of await read<Unsecured>(db, UNSECURED, [TENANT_ROLE, POLICY])) {
    const name = pg.escapeIdentifier(table.name);
    if (table.lacks_policy) {
      await execute(
        db,
        `create policy ${POLICY} on ${name} to ${role} using (${CONDITION}) with check (${CONDITION})`,
      );
    }
    if (table.lacks_security) await execute(db, `alter table ${name} enable row level security`);
    // Last, so that nothing is open in between.
    if (table.lacks_grant) {
      // Views are of the kind that checks the rights of who asks (security_invoker).
      const rights = table.kind === 'v' ? 'select' : 'select, insert, update, delete';
      const what = table.kind === 'S' ? `usage on sequence ${name}` : `${rights} on ${name}`;
      await execute(db, `grant ${what} to ${role}`);
    }
  }
  return TENANT_ROLE;
}

const readState = async (db: Queryable) =>
  (await read<RoleState>(db, ROLE_STATE, [TENANT_ROLE]))[0];

/** Roles belong to the whole cluster: another database's start may create it at the same moment. */
const CREATE_ROLE = `
  do $$ begin
    create role ${TENANT_ROLE} nologin;
  exception when duplicate_object or unique_violation then null;
  end $$`;

/** Creating a role gives the right to grant it, not to take it. Without that right: no change. */
const GRANT_ROLE = `
  do $$ begin
    for attempt in 1..10 loop
      begin
        grant ${TENANT_ROLE} to current_user with inherit false, set true;
        return;
      exception
        when insufficient_privilege then return;
        -- "tuple concurrently updated": another start grants it right now.
        when internal_error or unique_violation then perform pg_sleep(0.02);
      end;
    end loop;
  end $$`;

async function read<Row>(db: Queryable, text: string, values: readonly unknown[]): Promise<Row[]> {
  return (await db.query({ text, values })).rows as Row[];
}

async function execute(db: Queryable, text: string): Promise<void> {
  await db.query({ text, values: [] });
}
