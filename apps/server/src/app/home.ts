// What the embedded development server keeps in its home beside the database: secrets made once, and dev.json for
// tools that want to find the running server.

import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

/** Written once ready; removed on a clean stop. */
export interface DevFile {
  readonly base_url: string;
  readonly project_id: string;
  readonly api_key: string;
  readonly internal_secret: string;
  readonly database_url: string;
  readonly pid: number;
}

const SECRETS = 'secrets.json';
const DEV = 'dev.json';

/** The secrets of this home, by the names of their variables; made on first use. */
export function homeSecrets(home: string): Record<string, string> {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const file = path.join(home, SECRETS);
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>;
  const made = {
    INTERNAL_SECRET: randomBytes(32).toString('hex'),
    JWT_SIGNING_KEY: randomBytes(32).toString('hex'),
    ENCRYPTION_KEY: randomBytes(32).toString('hex'),
  };
  writePrivate(file, made);
  return made;
}

/** The API key handed out by an earlier start, if any. */
export function knownApiKey(home: string): string | undefined {
  try {
    return (
      JSON.parse(readFileSync(path.join(home, 'api-key.json'), 'utf8')) as { api_key: string }
    ).api_key;
  } catch {
    return undefined;
  }
}

export const rememberApiKey = (home: string, api_key: string): void =>
  writePrivate(path.join(home, 'api-key.json'), { api_key });

export const writeDevFile = (home: string, content: DevFile): void =>
  writePrivate(path.join(home, DEV), content);

export const removeDevFile = (home: string): void => rmSync(path.join(home, DEV), { force: true });

/** Readers see the old file or the whole new one, and only the owner sees either. */
function writePrivate(file: string, content: object): void {
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
  chmodSync(temporary, 0o600);
  renameSync(temporary, file);
}
