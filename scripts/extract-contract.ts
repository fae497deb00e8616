// `node scripts/extract-contract.ts [openapi.json]`: the reference contract, reduced to what the
// conformance test compares. Run by hand when the reference changes; the result is committed.

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { compactContract } from '../apps/server/test/contract/compact.ts';

const source = process.argv[2] ?? '/work/shared/contract/openapi.json';
const target = path.join(
  import.meta.dirname,
  '../apps/server/test/contract/reference-operations.json',
);

const { operations, types } = compactContract(
  JSON.parse(readFileSync(source, 'utf8')) as Record<string, unknown>,
);
// One operation or type per line: small, and a change shows what changed.
const lines = (entries: readonly string[]) => entries.map((entry) => `    ${entry}`).join(',\n');
writeFileSync(
  target,
  `{
  "operations": [
${lines(operations.map((operation) => JSON.stringify(operation)))}
  ],
  "types": {
${lines(Object.entries(types).map(([name, node]) => `${JSON.stringify(name)}: ${JSON.stringify(node)}`))}
  }
}
`,
);
console.log(`${operations.length} operations, ${Object.keys(types).length} types → ${target}`);
