// The pool and its transactions. Every statement of the product runs through one of these.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Queryable, StatementCall } from './query.ts';
import { typeParsers } from './types.ts';
import {
  DatabaseUnavailable,
  isBadData,
  isDatabaseError,
  isDatabaseUnavailable,
} from './unavailable.ts';

export { DatabaseUnavailable, isBadData, isDatabaseError, isDatabaseUnavailable };

/** An open transaction. Valid until the function it was given to returns. */
export interface Tx extends Queryable {
  readonly kind: 'transaction';
}

/** Statements run on it directly have a transaction each and see all projects. */
export interface Database extends Queryable {
  /**
   * Commits what `run` did, or rolls back when it throws. Serialization failures and deadlocks repeat
   * `run` up to 3 times, so it must not have effects outside the database. Does not nest.
   */
  transaction<T>(run: (tx: Tx) => Promise<T>): Promise<T>;
  /** A transaction that row-level security confines to one project (tenant-role.ts); opened in one round trip. */
  tenant<T>(project_id: string, run: (tx: Tx) => Promise<T>): Promise<T>;
  busy(): { total: number; idle: number; waiting: number; max: number };
  /** Waits for statements and transactions under way. Safe to call twice. */
  close(): Promise<void>;
}

/** Thrown inside `transaction` or `repeatConflicts`: what was read is gone, the same again will do. */
export class Conflict extends Error {}

export interface DatabaseOptions {
  readonly url: string;
  readonly application_name: string;
  readonly max: number;
  /** How long a statement waits for a free connection, and a connection for the server. Default 5000. */
  readonly acquire_timeout_ms?: number;
  /** 'hot': the planner settings of the claim and finish statements. */
  readonly settings?: 'default' | 'hot';
  readonly statement_timeout_ms?: number;
  readonly lock_timeout_ms?: number;
  readonly idle_in_transaction_timeout_ms?: number;
  /** Losses of idle connections; the pool replaces them by itself. */
  readonly onError?: (error: Error) => void;
  /** Result of secureTenantTables. Without it `tenant` is an ordinary transaction. */
  readonly tenantRole?: string | undefined;
}

const ACQUIRE_TIMEOUT_MS = 5_000;
const IDLE_TIMEOUT_MS = 60_000;
const MAX_RETRIES = 3;
const RETRY_BASE_MS = 10;

// Hot statements are written so that these hold: they reach every row by index, and a plan made on an
// empty table (first boot, new partition) must not differ from one made on a full table.
const HOT_SETTINGS: Readonly<Record<string, string>> = {
  plan_cache_mode: 'force_generic_plan',
  jit: 'off',
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  enable_material: 'off',
};

export function createDatabase(options: DatabaseOptions): Database {
  const pool = new pg.Pool({
    ...connection(options),
    application_name: options.application_name,
    max: options.max,
    connectionTimeoutMillis: options.acquire_timeout_ms ?? ACQUIRE_TIMEOUT_MS,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    keepAlive: true,
    types: typeParsers,
  });
  let closed: Promise<void> | undefined;
  // The pool is closed before its sockets are: a server that stops meanwhile ends them, and nobody cares.
  pool.on('error', (error) => {
    if (!closed) options.onError?.(error);
  });

  // Why a connection died, for the next statement on it: by then pg only knows that it is dead.
  const losses = new WeakMap<pg.PoolClient, Error>();
  pool.on('connect', (client) => client.on('error', (error) => losses.set(client, error)));

  const acquire = async (): Promise<pg.PoolClient> => {
    try {
      return await pool.connect();
    } catch (error) {
      throw isDatabaseUnavailable(error)
        ? new DatabaseUnavailable(`no database connection: ${messageOf(error)}`, { cause: error })
        : error;
    }
  };

  const send = async (client: pg.PoolClient, call: StatementCall, outcome_unknown = false) => {
    try {
      return await client.query({
        text: call.text,
        values: call.values as unknown[],
        name: call.name,
      });
    } catch (error) {
      if (!isDatabaseUnavailable(error)) throw error;
      const cause = losses.get(client) ?? error;
      throw new DatabaseUnavailable(`database connection lost: ${messageOf(cause)}`, {
        cause,
        outcome_unknown,
      });
    }
  };

  async function attempt<T>(begin: string, run: (tx: Tx) => Promise<T>): Promise<T> {
    const client = await acquire();
    let open = true;
    let refused: unknown;
    const tx: Tx = {
      kind: 'transaction',
      query: async (call) => {
        if (!open) throw new Error(`statement after the end of its transaction: ${call.text}`);
        try {
          return await send(client, call);
        } catch (error) {
          refused ??= error;
          throw error;
        }
      },
    };
    let healthy = false;
    try {
      await send(client, { text: begin, values: [] });
      const result = await run(tx);
      open = false;
      if (refused instanceof DatabaseUnavailable) throw refused;
      const { command } = await send(client, { text: 'commit', values: [] }, !losses.has(client));
      healthy = true;
      // PostgreSQL answers ROLLBACK to the commit of a transaction in which a statement failed.
      if (command === 'ROLLBACK') throw refused ?? new Error('a failed transaction was committed');
      return result;
    } catch (error) {
      open = false;
      if (!healthy && !(error instanceof DatabaseUnavailable)) {
        healthy = await send(client, { text: 'rollback', values: [] }).then(
          () => true,
          () => false,
        );
      }
      throw error;
    } finally {
      client.release(!healthy);
    }
  }

  const retrying = <T>(begin: string, run: (tx: Tx) => Promise<T>): Promise<T> =>
    repeatConflicts(() => attempt(begin, run));

  return {
    query: async (call) => {
      const client = await acquire();
      let healthy = false;
      try {
        const result = await send(client, call);
        healthy = true;
        return result;
      } catch (error) {
        healthy = error instanceof pg.DatabaseError;
        throw error;
      } finally {
        client.release(!healthy);
      }
    },
    transaction: (run) => retrying('begin', run),
    tenant: async (project_id, run) => retrying(beginTenant(project_id, options.tenantRole), run),
    busy: () => ({
      total: pool.totalCount,
      idle: pool.idleCount,
      waiting: pool.waitingCount,
      max: options.max,
    }),
    close: () => (closed ??= pool.end()),
  };
}

/**
 * For a statement that is a transaction of its own, as `transaction` does it: serialization failures and deadlocks, which
 * left nothing behind, repeat it up to 3 times.
 */
export async function repeatConflicts<T>(run: () => Promise<T>): Promise<T> {
  for (let retry = 0; ; retry++) {
    try {
      return await run();
    } catch (error) {
      if (retry >= MAX_RETRIES || !isConflict(error)) throw error;
      await sleep(Math.random() * RETRY_BASE_MS * 2 ** retry);
    }
  }
}

/** One simple-query message: three statements, one round trip. */
function beginTenant(project_id: string, role: string | undefined): string {
  if (project_id === '' || project_id.includes('\0')) throw new Error('not a project id');
  const set = `select set_config('app.current_project_id', ${pg.escapeLiteral(project_id)}, true)`;
  return role === undefined
    ? `begin; ${set}`
    : `begin; set local role ${pg.escapeIdentifier(role)}; ${set}`;
}

/** Session settings travel in the start-up packet: no statement, and nothing to repeat on reconnect. */
function connection(options: DatabaseOptions): { connectionString: string; options: string } {
  const settings: Record<string, string | number | undefined> = {
    TimeZone: 'UTC',
    DateStyle: 'ISO',
    statement_timeout: options.statement_timeout_ms,
    lock_timeout: options.lock_timeout_ms,
    idle_in_transaction_session_timeout: options.idle_in_transaction_timeout_ms,
    ...(options.settings === 'hot' ? HOT_SETTINGS : {}),
  };
  const words = Object.entries(settings).flatMap(([name, value]) =>
    value === undefined ? [] : [`-c ${name}=${value}`],
  );
  // pg lets `options` of the URL replace ours, so the two are joined here.
  if (!URL.canParse(options.url))
    return { connectionString: options.url, options: words.join(' ') };
  const url = new URL(options.url);
  const own = url.searchParams.get('options');
  url.searchParams.delete('options');
  return { connectionString: url.href, options: [own ?? '', ...words].join(' ').trim() };
}

function isConflict(error: unknown): boolean {
  if (error instanceof Conflict) return true;
  return error instanceof pg.DatabaseError && (error.code === '40001' || error.code === '40P01');
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join(', ');
  return error instanceof Error ? error.message : String(error);
}
