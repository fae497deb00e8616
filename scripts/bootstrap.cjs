'use strict';
// Entry of every npm script. Plain JavaScript for whatever Node the machine has: it installs
// dependencies when the lockfile changed, then hands over to the Node 24 that npm brought.
const { spawn, spawnSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');
const command = process.argv[2];
const rest = process.argv.slice(3);

const PROGRAMS = {
  start: ['apps/server/src/app/main.ts'],
  dev: ['--watch-path=apps/server/src', '--watch-preserve-output', 'apps/server/src/app/main.ts'],
  test: ['scripts/run-tests.ts'],
  check: ['scripts/check.ts'],
  generate: ['scripts/generate.ts'],
  bench: ['scripts/bench.ts'],
  'test:crash': ['scripts/run-scenarios.ts'],
  'workflow-test': ['scripts/workflow-test/main.ts'],
};

if (!PROGRAMS[command]) {
  console.error(`usage: bootstrap.cjs ${Object.keys(PROGRAMS).join('|')}`);
  process.exit(2);
}

/** Runs `npm ci` in `dir` unless its node_modules were made from the lockfile that is there now. */
function install(dir) {
  const modules = path.join(dir, 'node_modules');
  const stamp = path.join(modules, '.strait-lock');
  const hash = createHash('sha256')
    .update(fs.readFileSync(path.join(dir, 'package-lock.json')))
    .update(`${process.platform} ${process.arch}`)
    .digest('hex');
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === hash) return;
  console.error('strait: installing dependencies (npm ci) …');
  const done = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: dir,
    stdio: ['ignore', 2, 2],
  });
  if (done.status !== 0) {
    console.error('strait: npm ci failed; see above');
    process.exit(done.status || 1);
  }
  fs.writeFileSync(stamp, hash);
}

/** Absolute path of a Node that is at least 24, preferring the one from the lockfile. */
function findNode() {
  const bundled = path.join(root, 'node_modules', '.bin', 'node');
  if (fs.existsSync(bundled)) return bundled;
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath;
  console.error(
    `strait: Strait needs Node.js 24 or newer. npm brings it on Linux and macOS (x64, arm64); here, on ` +
      `${process.platform} ${process.arch}, it does not. Install Node.js 24 (https://nodejs.org) and run this again ` +
      `(this is Node.js ${process.versions.node}).`,
  );
  process.exit(1);
}

install(root);
if (command === 'bench') install(path.join(root, 'bench'));

const env = { ...process.env };
env.PATH = path.join(root, 'node_modules', '.bin') + path.delimiter + env.PATH;
// Stripped types and compiled code are kept between starts: about 0.3 s of a warm start.
env.NODE_COMPILE_CACHE ??= path.join(root, 'node_modules', '.cache', 'node-compile');

const child = spawn(
  findNode(),
  ['--disable-warning=ExperimentalWarning', ...PROGRAMS[command], ...rest],
  {
    cwd: root,
    env,
    stdio: 'inherit',
  },
);
// The terminal already sends Ctrl-C to the whole group; a plain SIGTERM reaches only us.
process.on('SIGINT', () => {});
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
// npm itself may be killed without a word to us; a server nobody can stop any more would stay behind.
const parent = process.ppid;
setInterval(() => process.ppid !== parent && child.kill('SIGTERM'), 500).unref();
child.on('exit', (code, signal) => process.exit(signal ? 1 : code));
