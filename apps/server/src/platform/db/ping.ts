import type { Queryable } from './query.ts';

/** Rejects when no statement can be run. */
export async function ping(db: Queryable): Promise<void> {
  await db.query({ text: 'select 1', values: [] });
}
