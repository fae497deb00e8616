// Runtime of the generated `store.sql.ts` files: runs one statement and shapes what it returns.

/** Anything a statement can run on: a pool (own transaction per statement) or an open transaction. */
export interface Queryable {
  query(statement: StatementCall): Promise<{ rows: unknown[]; rowCount: number | null }>;
}

export interface StatementCall {
  readonly text: string;
  readonly values: readonly unknown[];
  /** Set for `prepared` statements; unique per statement text. */
  readonly name?: string;
}

/** `:many`: every row. */
export async function many<Row>(db: Queryable, call: StatementCall): Promise<Row[]> {
  return (await db.query(call)).rows as Row[];
}

/** `:maybe`: the row, or undefined. More than one row is a bug in the statement. */
export async function maybe<Row>(db: Queryable, call: StatementCall): Promise<Row | undefined> {
  const { rows } = await db.query(call);
  if (rows.length > 1)
    throw new Error(
      `statement returned ${rows.length} rows where at most one was declared: ${call.text}`,
    );
  return rows[0] as Row | undefined;
}

/** `:one`: exactly one row. */
export async function one<Row>(db: Queryable, call: StatementCall): Promise<Row> {
  const row = await maybe<Row>(db, call);
  if (row === undefined)
    throw new Error(`statement returned no row where one was declared: ${call.text}`);
  return row;
}

/** `:count`: the number of rows written. */
export async function count(db: Queryable, call: StatementCall): Promise<number> {
  return (await db.query(call)).rowCount ?? 0;
}
