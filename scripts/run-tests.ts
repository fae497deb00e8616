// `npm test [words]`: architecture check, then every test against one PostgreSQL that is started here.
// Files are dealt into shares, a process each, one more at a time than there are cores, since tests wait a quarter of their
// time; scenarios (several processes, kill -9) follow, two at a time.

import { spawn } from 'node:child_process';
import { globSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { createDatabase } from '../apps/server/src/platform/db/database.ts';
import { guardTransitions } from '../apps/server/test/state-guard.ts';
import { migrate } from '../apps/server/src/platform/db/migrate.ts';
import { secureTenantTables } from '../apps/server/src/platform/db/tenant-role.ts';
import { startLocalPostgres } from '../packages/local-postgres/src/index.ts';
import { checkArchitecture } from './check-architecture.ts';

const root = path.join(import.meta.dirname, '..');
const words = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const began = performance.now();

const violations = checkArchitecture(root);
for (const { file, line, message } of violations) console.error(`${file}:${line}: ${message}`);

const wanted = (file: string): boolean =>
  words.length === 0 || words.some((word) => file.includes(word));
const files = globSync('{apps,packages,scripts}/**/*.test.ts', {
  cwd: root,
  exclude: ['**/node_modules/**'],
})
  .filter(wanted)
  .toSorted((a, b) => statSync(path.join(root, b)).size - statSync(path.join(root, a)).size);
const scenarios = files.filter((file) => file.endsWith('.scenario.test.ts')).toSorted();
const plain = files.filter((file) => !scenarios.includes(file));
if (files.length === 0) {
  console.error(`no test file matches: ${words.join(' ')}`);
  process.exit(1);
}

const cores = availableParallelism();
/** Shares per core: sizes of files say little about how long they take, so who is through early takes another. */
const SHARES_PER_CORE = 10;
/** Those that take longest, so that none of them is what the others have waited for. */
const LONGEST = ['failing-endpoint', 'limits', 'budget', 'upgrade', 'api-crash', 'readme'];

const home = mkdtempSync(path.join(tmpdir(), 'strait-test-'));
// Nothing in this server has to survive a crash; the scenarios that crash PostgreSQL bring their own. Files of a share run
// in one process, which opens what their outermost hooks open before it closes anything.
const server = await startLocalPostgres({
  home,
  settings: {
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    max_connections: '600',
  },
});

let failed = violations.length > 0;
/** What failed and why, told again at the very end: who reads only the tail of a long log still learns it. */
const failures: string[] = [];
try {
  const template = 'strait_test_template';
  const url = withDatabase(server.url, template);
  const bootstrap = createDatabase({ url: server.url, application_name: 'strait-tests', max: 1 });
  await bootstrap.query({ text: `create database ${template}`, values: [] });
  await bootstrap.close();
  await migrate(url, { directory: path.join(root, 'apps/server/migrations') });
  const prepared = createDatabase({ url, application_name: 'strait-tests', max: 1 });
  const tenantRole = await prepared.transaction((tx) => secureTenantTables(tx));
  await guardTransitions(prepared);
  await prepared.close();

  const env = {
    ...process.env,
    STRAIT_TEST_URL: server.url,
    STRAIT_TEST_TEMPLATE: template,
    STRAIT_TEST_TENANT_ROLE: tenantRole ?? '',
  };
  const shares = deal(plain, Math.min(cores * SHARES_PER_CORE, plain.length));
  await lanes(cores + 1, shares, (share, index) => run(share, env, `share ${index + 1}`));
  const turn = (file: string): number => {
    const place = LONGEST.findIndex((name) => file.includes(`${name}.scenario`));
    return place < 0 ? LONGEST.length : place;
  };
  await lanes(
    2,
    scenarios.toSorted((a, b) => turn(a) - turn(b)),
    (scenario) => run([scenario], env, scenario),
  );
} finally {
  await server.stop('immediate');
  rmSync(home, { recursive: true, force: true });
}
if (failures.length > 0) console.log(`\n── what failed\n${failures.join('\n')}`);
console.log(
  `\n${files.length} test files in ${((performance.now() - began) / 1000).toFixed(1)} s: ${failed ? 'FAILED' : 'passed'}`,
);
process.exit(failed ? 1 : 0);

/** Runs a part after the other, `width` at a time. */
async function lanes<T>(
  width: number,
  parts: readonly T[],
  work: (part: T, index: number) => Promise<number>,
): Promise<void> {
  const left = parts.entries();
  const lane = async (): Promise<void> => {
    for (const [index, part] of left) failed = (await work(part, index)) !== 0 || failed;
  };
  await Promise.all(Array.from({ length: width }, lane));
}

function run(share: readonly string[], env: NodeJS.ProcessEnv, name: string): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(
      process.execPath,
      [
        '--disable-warning=ExperimentalWarning',
        '--test',
        '--test-isolation=none',
        // After a hook that failed others do not run, and what they would close would keep the process.
        '--test-force-exit',
        '--test-reporter=spec',
        '--test-timeout=240000',
        ...share,
      ],
      { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('exit', (code) => {
      // One share at a time, whole, so that two cores do not interleave their reports.
      console.log(`── ${name}\n${output.trimEnd()}`);
      const [, ...told] = output.split('\n✖ failing tests:');
      // A failing hook of a whole file is reported, but does not change node's exit code.
      const ending = code === 0 && told.length > 0 ? 1 : (code ?? 1);
      if (ending !== 0)
        failures.push(
          `${name}${told.length > 0 ? told.join('') : `: ended with ${code ?? 'a signal'}`}`,
        );
      resolve(ending);
    });
  });
}

/** The largest file first, always to the share that has least: about equal work. */
function deal(all: readonly string[], into: number): string[][] {
  const shares = Array.from({ length: into }, () => ({ files: [] as string[], size: 0 }));
  for (const file of all) {
    const least = shares.reduce((a, b) => (b.size < a.size ? b : a));
    least.files.push(file);
    least.size += statSync(path.join(root, file)).size;
  }
  return shares.map((share) => share.files);
}

function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}
