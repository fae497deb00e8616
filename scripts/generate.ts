// `npm run generate [-- --check] [words]`: everything that is written by a program and committed.
// `--check` writes nothing and fails when something would change; words restrict the queries to matching paths.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { generateQueries, type Generated } from './generate-queries.ts';
import { withMigratedDatabase } from './scratch-database.ts';

const root = path.join(import.meta.dirname, '..');
const check = process.argv.includes('--check');
const words = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));

// The generators, in the order in which they may depend on each other's files.
const generators: readonly (() => Promise<Generated>)[] = [
  () => withMigratedDatabase(root, (url) => generateQueries(root, url, words)),
];

let failed = false;
for (const generator of generators) {
  const { files, problems } = await generator();
  for (const problem of problems) console.error(problem);
  failed ||= problems.length > 0;
  for (const { file, content } of files) {
    const target = path.join(root, file);
    const current = existsSync(target) ? readFileSync(target, 'utf8') : undefined;
    if (current === content) continue;
    if (check) {
      console.error(`${file} is not up to date: npm run generate`);
      failed = true;
    } else if (content === undefined) {
      rmSync(target);
      console.log(`removed ${file}`);
    } else {
      writeFileSync(target, content);
      console.log(`wrote ${file}`);
    }
  }
}
process.exitCode = failed ? 1 : 0;
