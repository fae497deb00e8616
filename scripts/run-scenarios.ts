// `npm run test:crash [words]`: every scenario with the numbers the product promises; minutes instead of seconds.
import { spawn } from 'node:child_process';
import path from 'node:path';

const words = process.argv.slice(2);
const files =
  words.length === 0 ? ['.scenario.test.ts'] : words.map((word) => `${word}.scenario.test.ts`);
const tests = spawn(
  process.execPath,
  [
    '--disable-warning=ExperimentalWarning',
    path.join(import.meta.dirname, 'run-tests.ts'),
    ...files,
  ],
  {
    env: { ...process.env, STRAIT_SCENARIOS: 'full' },
    stdio: 'inherit',
  },
);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => tests.kill(signal));
tests.on('exit', (code) => process.exit(code ?? 1));
