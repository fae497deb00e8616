// What the generator knows about the schema: columns, types, owners of tables, which tables hold tenant data.
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type pg from 'pg';

export interface Table {
  readonly name: string;
  /** It has `project_id`, or belongs to a run, job or other row that has. */
  readonly tenant: boolean;
}

export interface Column {
  /** Root table, for columns of partitions too. */
  readonly table: string;
  readonly name: string;
  readonly notNull: boolean;
}

export interface SqlType {
  readonly name: string;
  /** Oid of the element type, for arrays. */
  readonly element: number | undefined;
  /** Oid of the type a domain is made of. */
  readonly base: number | undefined;
  readonly labels: readonly string[];
}

export interface Catalogue {
  readonly tables: ReadonlyMap<number, Table>;
  /** By `oid.attnum`. */
  readonly columns: ReadonlyMap<string, Column>;
  readonly types: ReadonlyMap<number, SqlType>;
  /** Partition name → root table name. */
  readonly roots: ReadonlyMap<string, string>;
}

const TABLES = `
  select c.oid, c.relname as name, coalesce(r.relname, c.relname) as root
    from pg_class c left join pg_class r on r.oid = pg_partition_root(c.oid)
   where c.relkind in ('r', 'p', 'v', 'm')
     and c.relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)`;

const COLUMNS = `
  select a.attrelid as oid, a.attnum as number, a.attname as name, a.attnotnull as not_null
    from pg_attribute a join pg_class c on c.oid = a.attrelid
   where c.relkind in ('r', 'p', 'v', 'm') and a.attnum > 0 and not a.attisdropped
     and c.relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)`;

const TYPES = `
  select t.oid, t.typname as name, nullif(t.typbasetype, 0) as base,
         case when t.typcategory = 'A' then nullif(t.typelem, 0) end as element,
         array(select e.enumlabel::text from pg_enum e where e.enumtypid = t.oid order by e.enumsortorder) as labels
    from pg_type t`;

const REFERENCES = `select conrelid as child, confrelid as parent from pg_constraint where contype = 'f'`;

/** Columns that tie a row to a tenant's row even where no foreign key does (hot tables have none). */
const TENANT_KEYS = new Set(['run_id', 'job_id', 'job_run_id', 'workflow_id', 'workflow_run_id']);

export async function readCatalogue(client: pg.Client): Promise<Catalogue> {
  const tableRows = (await client.query<{ oid: number; name: string; root: string }>(TABLES)).rows;
  const columnRows = (
    await client.query<{ oid: number; number: number; name: string; not_null: boolean }>(COLUMNS)
  ).rows;
  const typeRows = (
    await client.query<{
      oid: number;
      name: string;
      base: number | null;
      element: number | null;
      labels: string[];
    }>(TYPES)
  ).rows;
  const references = (await client.query<{ child: number; parent: number }>(REFERENCES)).rows;

  const rootOf = new Map(tableRows.map((row) => [row.oid, row.root]));
  const tenants = new Set(
    columnRows
      .filter(({ name }) => name === 'project_id' || TENANT_KEYS.has(name))
      .map(({ oid }) => oid),
  );
  for (let size = -1; size !== tenants.size;) {
    size = tenants.size;
    for (const { child, parent } of references) if (tenants.has(parent)) tenants.add(child);
  }
  return {
    tables: new Map(
      tableRows.map(({ oid, root }) => [oid, { name: root, tenant: tenants.has(oid) }]),
    ),
    columns: new Map(
      columnRows.map((row) => [
        `${row.oid}.${row.number}`,
        { table: rootOf.get(row.oid) ?? '', name: row.name, notNull: row.not_null },
      ]),
    ),
    types: new Map(
      typeRows.map(({ oid, name, base, element, labels }) => [
        oid,
        { name, base: base ?? undefined, element: element ?? undefined, labels },
      ]),
    ),
    roots: new Map(tableRows.map(({ name, root }) => [name, root])),
  };
}

/** Table → owning module, from `-- owner: <module>` above or inside each `create table` of the migrations. */
export function readOwners(migrations: string): Map<string, string> {
  const owners = new Map<string, string>();
  const files = readdirSync(migrations).filter((file) => file.endsWith('.up.sql'));
  for (const file of files.sort())
    addOwners(readFileSync(path.join(migrations, file), 'utf8'), owners);
  return owners;
}

const OWNER = /^\s*--\s*owner:\s*([\w-]+)/;
const CREATE_TABLE =
  /^\s*create\s+(?:or\s+replace\s+)?(?:unlogged\s+)?(?:table|view)\s+(?:if\s+not\s+exists\s+)?(?:public\.)?"?(\w+)"?/i;

/** An owner comment above counts for the next table, one inside for that table, one in line 1 for the file. */
export function addOwners(source: string, owners: Map<string, string>): void {
  const lines = source.split('\n');
  const ofFile = OWNER.exec(lines[0] ?? '')?.[1];
  let above: string | undefined;
  let inside: string | undefined;
  for (const line of lines) {
    const owner = OWNER.exec(line)?.[1];
    const table = CREATE_TABLE.exec(line)?.[1];
    if (table !== undefined) {
      const trailing = /--\s*owner:\s*([\w-]+)/.exec(line)?.[1] ?? above ?? ofFile;
      if (trailing !== undefined) owners.set(table, trailing);
      above = undefined;
      inside = table;
    } else if (owner !== undefined && inside !== undefined) {
      owners.set(inside, owner);
    } else if (owner !== undefined) {
      above = owner;
    }
    if (inside !== undefined && /;\s*(--.*)?$/.test(line)) inside = undefined;
  }
}
