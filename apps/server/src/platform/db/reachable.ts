// At start the database may be a moment behind us; what it refuses, waiting does not change.

import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { StartRefused } from '../start-refused.ts';
import { isDatabaseUnavailable } from './unavailable.ts';

/** Waits before the second and later tries. */
const WAITS_MS = [1_000, 2_000, 4_000, 8_000, 16_000];
const CONNECT_TIMEOUT_MS = 5_000;

export interface ReachOptions {
  readonly waits_ms?: readonly number[];
  /** Told before each wait. */
  readonly onWait?: (why: string, wait_ms: number) => void;
}

/**
 * Resolves once the database lets us in.
 * @throws StartRefused when it refuses us, or still cannot be reached after the last wait.
 */
export async function reachDatabase(
  url: string,
  { waits_ms = WAITS_MS, onWait = () => {} }: ReachOptions = {},
): Promise<void> {
  for (let tries = 0; ; tries++) {
    const client = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    });
    client.on('error', () => {});
    try {
      await client.connect();
      return;
    } catch (error) {
      const wait_ms = waits_ms[tries];
      const why = `cannot use the database ${nameOf(client)}: ${messageOf(error)}`;
      if (wait_ms === undefined || !isDatabaseUnavailable(error))
        throw new StartRefused(why, { cause: error });
      onWait(why, wait_ms);
      await sleep(wait_ms);
    } finally {
      client.end().catch(() => {});
    }
  }
}

/** Without the password. */
const nameOf = ({ database, host, port, user }: pg.Client): string =>
  `${database ?? ''} at ${host}:${port} as ${user ?? ''}`;

function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return [...new Set(error.errors.map(messageOf))].join(', ');
  return error instanceof Error ? error.message : String(error);
}
