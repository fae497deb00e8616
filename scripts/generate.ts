// `npm run generate [-- --check] [words]`: everything that is written by a program and committed.
// `--check` writes nothing and fails when something would change; with words only the queries in
// files whose path contains them.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Generated } from './generate-queries.ts';

const root = path.join(import.meta.dirname, '..');
const check = process.argv.includes('--check');
const words = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));

// In the order in which they may depend on each other's files. Each loads its code when it runs: what
// it reads (contracts, settings) may import files that the ones before it write.
const generators: Readonly<Record<string, () => Promise<Generated>>> = {
  async queries() {
    const { generateQueries } = await import('./generate-queries.ts');
    const { withMigratedDatabase } = await import('./scratch-database.ts');
    return withMigratedDatabase(root, (url) => generateQueries(root, url, words));
  },
  async configuration() {
    const { configDocs } = await import('./generate-config-docs.ts');
    return { files: [{ file: 'docs/configuration.md', content: configDocs() }], problems: [] };
  },
  async openapi() {
    const { openApiFile } = await import('./generate-openapi.ts');
    return {
      files: [{ file: 'apps/server/openapi.json', content: await openApiFile() }],
      problems: [],
    };
  },
};

let failed = false;
for (const [name, generate] of Object.entries(generators)) {
  if (words.length > 0 && name !== 'queries') continue;
  const { files, problems } = await generate();
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
      mkdirSync(path.dirname(target), { recursive: true });
      writeFileSync(target, content);
      console.log(`wrote ${file}`);
    }
  }
}
process.exitCode = failed ? 1 : 0;
