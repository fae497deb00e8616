// What a database holds, as one short text per table: for "nothing has changed".

import type { TestApp } from '../app.ts';

/** Written by observing callers, not by what they ask for. */
const observed: Readonly<Record<string, string>> = { api_keys: 'last_used_at' };
const ignored = new Set(['known_actors', 'leader_leases', 'schema_migrations']);

export interface DatabaseDigest {
  /** Table → digest of all its rows. */
  contents(): Promise<Record<string, string>>;
  /** Table → number of rows. */
  counts(): Promise<Record<string, number>>;
}

export async function databaseDigest(app: TestApp): Promise<DatabaseDigest> {
  const rows = await app.sql<{ table_name: string }>(
    `select c.relname as table_name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition order by 1`,
  );
  const tables = rows.map((row) => row.table_name).filter((table) => !ignored.has(table));
  const all = (of: (table: string) => string) =>
    tables.map((table) => `select '${table}' as t, (${of(table)})::text as d`).join(' union all ');
  const contents = all((table) => {
    const row = observed[table] ? `to_jsonb(x) - '${observed[table]}'` : 'to_jsonb(x)';
    return `select md5(coalesce(string_agg((${row})::text, '|' order by (${row})::text), '')) from ${table} x`;
  });
  const counts = all((table) => `select count(*) from ${table}`);
  // Prepared: planning so many tables takes five times as long as looking at them.
  const read = async (name: string, text: string) => {
    const { rows } = await app.db.query({ name, text, values: [] });
    return Object.fromEntries((rows as { t: string; d: string }[]).map(({ t, d }) => [t, d]));
  };
  return {
    contents: () => read('digest contents', contents),
    counts: async () => {
      const read_counts = Object.entries(await read('digest counts', counts));
      return Object.fromEntries(read_counts.map(([table, count]) => [table, Number(count)]));
    },
  };
}
