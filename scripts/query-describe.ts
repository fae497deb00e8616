// Asks PostgreSQL about statements without running them: parameter and result types (Parse and
// Describe), the relations touched (locks taken while planning) and which may be missing (outer joins).
import type pg from 'pg';
import type { Catalogue } from './query-catalogue.ts';

export interface DescribedColumn {
  readonly name: string;
  /** Base type after domains; see Catalogue.types. */
  readonly type: number;
  /** Name of the root table and column it comes from unchanged, e.g. `jobs.tags`. */
  readonly origin: string | undefined;
  readonly nullable: boolean;
}

export interface Description {
  readonly parameters: readonly number[];
  /** Undefined when the statement returns no result set. */
  readonly columns: readonly DescribedColumn[] | undefined;
  /** Root tables the statement touches; `written` ones it inserts into, updates, deletes from. */
  readonly read: readonly string[];
  readonly written: readonly string[];
  /** LOCK, NOTIFY, TRUNCATE…: not planned, so nothing is known about the relations. */
  readonly utility: boolean;
}

interface Field {
  readonly name: string;
  readonly tableID: number;
  readonly columnID: number;
  readonly dataTypeID: number;
}

interface Plan {
  readonly 'Node Type'?: string;
  readonly 'Join Type'?: string;
  readonly 'Relation Name'?: string;
  readonly 'CTE Name'?: string;
  readonly 'Subplan Name'?: string;
  readonly Plans?: readonly Plan[];
}

const PLANNED = /^\(*\s*(select|insert|update|delete|merge|with|values)\b/i;
const OUTER_JOIN = /\b(left|right|full)\s+(outer\s+)?join\b/i;

const RELATIONS = `
  select distinct coalesce(pg_partition_root(c.oid)::oid, c.oid) as oid, l.mode = 'RowExclusiveLock' as written
    from pg_locks l join pg_class c on c.oid = l.relation
   where l.pid = pg_backend_pid() and l.locktype = 'relation' and c.relkind in ('r', 'p', 'v', 'm')
     and c.relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)`;

/** Throws what PostgreSQL says about a wrong statement (`position` is an offset into `text`). */
export async function describe(
  client: pg.Client,
  catalogue: Catalogue,
  text: string,
): Promise<Description> {
  const { parameters, fields } = await parseAndDescribe(client, text);
  const utility = !PLANNED.test(text);
  const seen = utility
    ? { read: [], written: [], missing: () => false }
    : await relations(client, catalogue, text);

  const columns = fields?.map((field): DescribedColumn => {
    const column = catalogue.columns.get(`${field.tableID}.${field.columnID}`);
    return {
      name: field.name,
      type: field.dataTypeID,
      origin: column && `${column.table}.${column.name}`,
      nullable: !column?.notNull || seen.missing(column.table),
    };
  });
  return { parameters, columns, read: seen.read, written: seen.written, utility };
}

async function relations(client: pg.Client, catalogue: Catalogue, text: string) {
  await client.query('begin');
  try {
    const explained = await client.query(`explain (generic_plan, verbose, format json) ${text}`);
    const plan = explained.rows[0]['QUERY PLAN'][0].Plan as Plan;
    const locked = await client.query<{ oid: number; written: boolean }>(RELATIONS);
    const names = (rows: readonly { oid: number }[]) =>
      [...new Set(rows.flatMap(({ oid }) => catalogue.tables.get(oid)?.name ?? []))].sort();
    const present = new Set<string>();
    const optional = new Set<string>();
    collect(plan, catalogue, subplans(plan), present, optional);
    const outer = OUTER_JOIN.test(text);
    return {
      read: names(locked.rows),
      written: names(locked.rows.filter((row) => row.written)),
      // A table the planner removed (no partitions yet) may have stood on either side of the join.
      missing: (table: string) => outer && (optional.has(table) || !present.has(table)),
    };
  } finally {
    await client.query('rollback');
  }
}

function subplans(plan: Plan, found = new Map<string, Plan>()): Map<string, Plan> {
  const name = plan['Subplan Name'];
  if (name?.startsWith('CTE ')) found.set(name.slice(4), plan);
  for (const child of plan.Plans ?? []) subplans(child, found);
  return found;
}

/** Fills `present` with the tables of the plan, `optional` with those an outer join may leave empty. */
function collect(
  plan: Plan,
  catalogue: Catalogue,
  ctes: Map<string, Plan>,
  present: Set<string>,
  optional: Set<string>,
  inside: readonly string[] = [],
): Set<string> {
  const own = new Set<string>();
  const relation = plan['Relation Name'];
  if (relation !== undefined) own.add(catalogue.roots.get(relation) ?? relation);
  const cte = plan['CTE Name'];
  const source = cte === undefined || inside.includes(cte) ? undefined : ctes.get(cte);
  if (source && cte !== undefined) {
    for (const table of collect(source, catalogue, ctes, present, optional, [...inside, cte]))
      own.add(table);
  }
  const join = plan['Join Type'];
  const children = (plan.Plans ?? []).filter((child) => child['Subplan Name'] === undefined);
  children.forEach((child, index) => {
    const tables = collect(child, catalogue, ctes, present, optional, inside);
    // `left join … where right.id is null` is planned as an anti join.
    const emptied =
      join === 'Full' ||
      (index === 1 && (join === 'Left' || join === 'Anti')) ||
      (index === 0 && (join === 'Right' || join === 'Right Anti'));
    for (const table of tables) {
      own.add(table);
      if (emptied) optional.add(table);
    }
  });
  for (const child of plan.Plans ?? []) {
    if (child['Subplan Name'] !== undefined)
      collect(child, catalogue, ctes, present, optional, inside);
  }
  for (const table of own) present.add(table);
  return own;
}

/** Parse + Describe of an unnamed statement, spoken through pg's own connection and query queue. */
function parseAndDescribe(
  client: pg.Client,
  text: string,
): Promise<{ parameters: number[]; fields: Field[] | undefined }> {
  return new Promise((resolve, reject) => {
    let parameters: number[] = [];
    let fields: Field[] | undefined;
    const onParameters = (message: { dataTypeIDs: number[] }) => {
      parameters = message.dataTypeIDs;
    };
    let failed = false;
    const submittable = {
      submit(connection: WireConnection) {
        connection.once('parameterDescription', onParameters);
        connection.parse({ name: '', text, types: [] });
        connection.describe({ type: 'S', name: '' });
        connection.sync();
      },
      handleRowDescription(message: { fields: Field[] }) {
        fields = message.fields;
      },
      handleError(error: Error, connection: WireConnection) {
        failed = true;
        connection.removeListener('parameterDescription', onParameters);
        reject(error);
      },
      handleReadyForQuery() {
        if (!failed) resolve({ parameters, fields });
      },
    };
    client.query(submittable as unknown as pg.Submittable);
  });
}

/** The part of pg's undocumented connection that Describe needs. */
interface WireConnection {
  once(event: 'parameterDescription', listener: (message: { dataTypeIDs: number[] }) => void): void;
  removeListener(event: string, listener: (message: { dataTypeIDs: number[] }) => void): void;
  parse(message: { name: string; text: string; types: number[] }): void;
  describe(message: { type: 'S'; name: string }): void;
  sync(): void;
}
