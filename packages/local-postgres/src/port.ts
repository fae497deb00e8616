import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { LocalPostgresError } from './error.ts';

// Below the ports systems hand out for outgoing connections (32768 on Linux, 49152 on macOS), so
// that a port stays ours across restarts.
const LOWEST = 15_432;
const HIGHEST = 32_000;

/** `preferred` when nothing listens there, else some free port on loopback. */
export async function choosePort(preferred: number | undefined): Promise<number> {
  if (preferred !== undefined && (await isFree(preferred))) return preferred;
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = randomInt(LOWEST, HIGHEST);
    if (await isFree(port)) return port;
  }
  throw new LocalPostgresError('start_failed', `No free port from ${LOWEST} to ${HIGHEST}`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
