// A lane of a key that nobody used for long is removed. Whoever looked it up just before, to put a run there, is refused by
// the foreign key: nothing is wrong with the run, and the next look makes the lane anew.

import pg from 'pg';
import { Conflict } from '../../platform/db/database.ts';

/** For statements that place runs; inside `transaction` or `repeatConflicts`. */
export const placing = <T>(write: Promise<T>): Promise<T> =>
  write.catch((error: unknown) => {
    throw isLaneGone(error)
      ? new Conflict('the lane was removed as idle', { cause: error })
      : error;
  });

const isLaneGone = (error: unknown): boolean =>
  error instanceof pg.DatabaseError &&
  error.code === '23503' &&
  error.constraint === 'run_parked_lane_id_fkey';
