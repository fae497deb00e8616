import pg from 'pg';
import { SUPERUSER } from './cluster.ts';
import { codeOf } from './error.ts';

/** The ordinary role the product works as, and the database it owns. */
export const ROLE = 'strait';
export const DATABASE = 'strait';

export interface Credentials {
  readonly port: number;
  readonly admin_password: string;
  readonly password: string;
}

export function ordinaryUrl({ port, password }: Credentials): string {
  return `postgresql://${ROLE}:${password}@127.0.0.1:${port}/${DATABASE}`;
}

export function adminUrl({ port, admin_password }: Credentials): string {
  return `postgresql://${SUPERUSER}:${admin_password}@127.0.0.1:${port}/postgres`;
}

/** Logs in as the ordinary role, creating it and its database when an earlier start did not get so far. */
export async function ensureLogin(credentials: Credentials, isNew: boolean): Promise<void> {
  if (!isNew) {
    try {
      await withClient(ordinaryUrl(credentials), async () => {});
      return;
    } catch (error) {
      const code = codeOf(error);
      if (code === '53300') return; // every connection is taken: clients were faster than we
      if (code !== '28P01' && code !== '3D000') throw error;
    }
  }
  await withClient(adminUrl(credentials), async (client) => {
    // Keeps the password out of the server's log, should the statement with it fail.
    await client.query('set log_min_error_statement = panic; set log_statement = none');
    const role = await client.query('select from pg_roles where rolname = $1', [ROLE]);
    const verb = role.rowCount === 0 ? 'create' : 'alter';
    await client.query(
      `${verb} role ${ROLE} login createdb createrole password '${credentials.password}'`,
    );
    const found = await client.query('select from pg_database where datname = $1', [DATABASE]);
    if (found.rowCount === 0) await client.query(`create database ${DATABASE} owner ${ROLE}`);
  });
}

async function withClient(url: string, use: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    ssl: false,
    application_name: 'strait-setup',
  });
  client.on('error', () => {}); // a connection lost later is reported by the query that needs it
  try {
    await client.connect();
    await use(client);
  } finally {
    await client.end().catch(() => {});
  }
}
