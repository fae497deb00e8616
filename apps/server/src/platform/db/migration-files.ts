// Migrations on disk: numbered pairs `000001_name.up.sql` / `000001_name.down.sql`.
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

export interface Migration {
  readonly version: number;
  /** File name without the direction, e.g. `000001_jobs`. */
  readonly name: string;
  readonly up: string;
  readonly down: string;
  /** Of the up file with LF line ends. */
  readonly sha256: string;
}

const FILE = /^(\d{6})_[a-z0-9_]+\.(up|down)\.sql$/;
const NO_TRANSACTION = '-- no transaction';

/** All pairs in order. Throws on a file that does not fit, a lone half or a number used twice. */
export async function readMigrations(directory: string): Promise<Migration[]> {
  const files = (await readdir(directory)).filter((file) => file.endsWith('.sql')).sort();
  const texts = new Map(
    await Promise.all(
      files.map(async (file) => [file, await readText(path.join(directory, file))] as const),
    ),
  );
  const migrations: Migration[] = [];
  for (const [file, up] of texts) {
    const match = FILE.exec(file);
    if (!match) throw new Error(`${file}: migrations are named 000001_name.up.sql or .down.sql`);
    const name = file.replace(/\.(up|down)\.sql$/, '');
    const other = texts.get(`${name}.${match[2] === 'up' ? 'down' : 'up'}.sql`);
    if (other === undefined) throw new Error(`${file}: the other half of the pair is missing`);
    if (match[2] === 'down') continue;
    const version = Number(match[1]);
    const previous = migrations.at(-1);
    if (previous?.version === version)
      throw new Error(`${previous.name} and ${name} share a number`);
    const sha256 = createHash('sha256').update(up).digest('hex');
    migrations.push({ version, name, up, down: other, sha256 });
  }
  return migrations;
}

export function needsNoTransaction(text: string): boolean {
  return text.split('\n', 1)[0]?.trim() === NO_TRANSACTION;
}

/**
 * The statements of a file without a transaction, which must go one by one: sent together they would
 * share one. Each ends with a semicolon at the end of a line, so such a file cannot hold function bodies.
 */
export function splitStatements(text: string): string[] {
  return text
    .split(/;[ \t]*(?:\n|$)/)
    .map((statement) => statement.trim())
    .filter((statement) => statement.split('\n').some((line) => !/^\s*(--.*)?$/.test(line)));
}

async function readText(file: string): Promise<string> {
  return (await readFile(file, 'utf8')).replaceAll('\r\n', '\n');
}
