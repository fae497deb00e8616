// Run by the tests: owns a home until its stdin ends, or until it is killed.
import { findNativePackage } from './binaries.ts';
import { LocalPostgresError } from './error.ts';
import { startFrom } from './local-postgres.ts';
import { lockHome } from './lock.ts';
import type { OwnerRequest } from './testing.ts';

const request: OwnerRequest = JSON.parse(process.argv[2] ?? '{}');
const { home, native = findNativePackage(), lockOnly = false } = request;
let release = async (): Promise<void> => {};
try {
  if (lockOnly) {
    const lock = lockHome(home);
    release = async () => lock.release();
    console.log('{}');
  } else {
    const server = await startFrom(native, { home });
    release = () => server.stop();
    const { url, port, dataDir } = server;
    console.log(JSON.stringify({ url, port, dataDir, pid: server.pid() }));
  }
} catch (error) {
  if (!(error instanceof LocalPostgresError)) throw error;
  console.log(JSON.stringify({ error: { code: error.code, message: error.message } }));
}
process.stdin.resume().once('end', () => void release());
