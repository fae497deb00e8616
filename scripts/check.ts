// `npm run check`: what can be known without running the product. All of it runs, then it fails if any part did.

import { spawn } from 'node:child_process';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..');

const checks: readonly (readonly [string, readonly string[]])[] = [
  ['types', ['tsc', '-p', '.']],
  // Without the adapters of the peers, whose packages only `npm run bench` installs.
  ['types of the bench', ['tsc', '-p', 'bench/tsconfig.check.json']],
  ['lint', ['oxlint', '--type-aware', '--quiet']],
  ['format', ['oxfmt', '--check', '.']],
  ['architecture', ['node', 'scripts/check-architecture.ts']],
  ['generated files', ['node', 'scripts/generate.ts', '--check']],
];

let failed = false;
for (const [name, [command = '', ...args]] of checks) {
  const began = performance.now();
  const code = await new Promise<number>((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: 'inherit' });
    child.on('error', (error) => {
      console.error(error.message);
      resolve(1);
    });
    child.on('exit', (exit) => resolve(exit ?? 1));
  });
  console.log(
    `${code === 0 ? 'ok  ' : 'FAIL'} ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)`,
  );
  failed ||= code !== 0;
}
process.exit(failed ? 1 : 0);
