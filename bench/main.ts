// `npm run bench`: Strait's queue next to its peers on one fresh PostgreSQL, in alternating rounds.
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { judge } from './gates.ts';
import { type Options, parseOptions, USAGE } from './options.ts';
import type { ProductName } from './product.ts';
import { gateLines, lineOf, ratioLines } from './report.ts';
import { createResults, type Results } from './results.ts';
import { type HttpTarget, runRound, startHttpTarget } from './rounds.ts';
import { type Server, SETTINGS, startServer } from './server.ts';
import type { Suite } from './suites/suite.ts';
import { SUITES } from './suites/index.ts';

/** No round takes this long; filling a million rows is part of one. */
const ROUND_TIMEOUT_MS = 600_000;

const STRAIT_ALONE: readonly ProductName[] = ['strait'];

/** Runs the bench; resolves with the exit code: 0 when everything was measured, met or not. */
export async function main(args: readonly string[]): Promise<number> {
  let options: Options;
  try {
    options = parseOptions(args);
    const unknown = options.suites.find((name) => !SUITES.some((suite) => suite.name === name));
    if (unknown !== undefined) throw new Error(`unknown suite ${unknown}`);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    console.error(`suites: ${SUITES.map(({ name }) => name).join(', ')}`);
    return 2;
  }
  const chosen = SUITES.filter(
    ({ name }) => options.suites.length === 0 || options.suites.includes(name),
  ).filter(({ compares }) => compares || options.products.includes('strait'));

  const startedAt = new Date();
  const results = createResults();
  const target = await startHttpTarget();
  let version = '';
  let running: Server | undefined;
  const interrupt = async () => {
    await running?.stop();
    process.exit(130);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void interrupt());
  // Suites that need other settings get a server of their own, after all the rest.
  const groups = Map.groupBy(chosen, ({ settings }) => JSON.stringify(settings ?? {}));
  try {
    for (const [settings, suites] of groups) {
      const server = await startServer(JSON.parse(settings) as Record<string, string>);
      running = server;
      try {
        version = server.version;
        await runSuites({ server, target, options, results }, suites);
      } finally {
        running = undefined;
        await server.stop();
      }
    }
  } finally {
    target.stop();
  }

  const verdicts = judge(results);
  if (options.products.includes('strait')) {
    console.log(`\nGates (design/queue-performance.md §9)${options.quick ? ', quick sizes' : ''}`);
    for (const line of gateLines(verdicts)) console.log(line);
  }
  const machine = {
    cpus: cpus().length,
    model: cpus()[0]?.model,
    memory_bytes: totalmem(),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    postgresql: version,
    settings: SETTINGS,
  };
  const folder = new URL('./results/', import.meta.url);
  await mkdir(folder, { recursive: true });
  const file = new URL(`${startedAt.toISOString().replaceAll(':', '-')}.json`, folder);
  await writeFile(
    file,
    JSON.stringify(
      { started_at: startedAt, machine, options, entries: results.entries, verdicts },
      null,
      2,
    ),
  );
  const seconds = Math.round((Date.now() - startedAt.getTime()) / 1000);
  console.log(`\n${seconds} s; all figures in ${file.pathname}`);
  return results.entries.some(({ error }) => error !== undefined) ? 1 : 0;
}

interface Bench {
  readonly server: Server;
  readonly target: HttpTarget;
  readonly options: Options;
  readonly results: Results;
}

async function runSuites(bench: Bench, suites: readonly Suite[]): Promise<void> {
  const { server, target, options, results } = bench;
  const { sizes } = options;
  const needed = suites.some(({ compares }) => compares) ? options.products : STRAIT_ALONE;
  const installed: ProductName[] = [];
  for (const product of needed) {
    const place = { database_url: await server.createDatabase(product), target_url: target.url };
    const answer = await runRound(
      { product, place, postmaster: server.pid, sizes },
      ROUND_TIMEOUT_MS,
    );
    if (answer.error === undefined) {
      installed.push(product);
      continue;
    }
    // The others are still worth measuring; the missing figures make no gate look met.
    console.log(`${product} could not be installed: ${answer.error}`);
    results.add({ suite: 'install', round: 0, product, cases: {}, error: answer.error });
  }

  for (const suite of suites) {
    const products = (suite.compares ? options.products : STRAIT_ALONE).filter((product) =>
      installed.includes(product),
    );
    if (products.length === 0) continue;
    const rounds = suite.repeats ? sizes.rounds : 1;
    for (let round = 0; round < rounds; round += 1) {
      console.log(`${suite.name}, round ${round + 1} of ${rounds}`);
      // Rotated, so that no product always runs first, or always after the same neighbour.
      const first = round % products.length;
      for (const product of [...products.slice(first), ...products.slice(0, first)]) {
        const name = `${product}-round`;
        const database_url = await server.createDatabase(name, product);
        const place = { database_url, target_url: target.url };
        const answer = await runRound(
          { product, suite: suite.name, place, postmaster: server.pid, sizes },
          ROUND_TIMEOUT_MS,
        );
        const cases = answer.error === undefined ? answer.cases : {};
        results.add({ suite: suite.name, round, product, cases, error: answer.error });
        if (answer.error !== undefined) console.log(`  ${product} FAILED: ${answer.error}`);
        for (const [testCase, figures] of Object.entries(cases)) {
          console.log(lineOf(product, testCase, figures));
        }
        await server.dropDatabase(name);
      }
    }
    for (const line of ratioLines(results, suite.name, products)) console.log(line);
  }
}
