import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { checkArchitecture } from './check-architecture.ts';

const SRC = 'apps/server/src';

/** Messages for a repository of just these files. */
function check(files: Record<string, string>): string[] {
  const root = mkdtempSync(path.join(tmpdir(), 'strait-architecture-'));
  try {
    for (const [file, content] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
      writeFileSync(path.join(root, file), content);
    }
    return checkArchitecture(root).map(({ file, line, message }) => `${file}:${line}: ${message}`);
  } finally {
    rmSync(root, { recursive: true });
  }
}

function finds(file: string, content: string, expected: RegExp | undefined): void {
  const found = check({ [file]: content });
  if (expected === undefined) assert.deepEqual(found, [], content);
  else assert.match(found.join('\n'), expected);
}

describe('architecture check', () => {
  it('finds nothing in this repository', () => {
    assert.deepEqual(checkArchitecture(path.join(import.meta.dirname, '..')), []);
  });

  it('allows imports from lower layers and from the left', () => {
    finds(
      `${SRC}/modules/queue/queue.ts`,
      `import { a } from '../jobs/index.ts';\nimport { b } from '../audit/index.ts';\nimport { c } from '../../platform/db/query.ts';\nimport { d } from '../../domain/failures.ts';`,
      undefined,
    );
    finds(`${SRC}/app/compose.ts`, `import { a } from '../modules/stats/index.ts';`, undefined);
  });

  it('finds upward imports, static, dynamic and of types', () => {
    for (const text of [
      `import type { a } from '../runs/index.ts';`,
      `await import('../workflows/index.ts')`,
      `export * from '../runs/index.ts';`,
    ]) {
      finds(
        `${SRC}/modules/queue/queue.ts`,
        `\n${text}`,
        /queue\.ts:2: queue imports \w+, which is not below it/,
      );
    }
    finds(
      `${SRC}/platform/db/x.ts`,
      `import '../../domain/failures.ts';`,
      /platform imports domain/,
    );
    finds(`${SRC}/domain/x.ts`, `import '../modules/jobs/index.ts';`, /domain imports jobs/);
  });

  it('finds imports past the index of another module', () => {
    finds(
      `${SRC}/modules/runs/service.ts`,
      `import { a } from '../queue/store.sql.ts';`,
      /past the index\.ts of queue/,
    );
    finds(
      `${SRC}/app/compose.ts`,
      `import { a } from '../modules/jobs/routes.ts';`,
      /past the index\.ts of jobs/,
    );
    finds(
      `${SRC}/modules/workflows/engine/service.ts`,
      `import { a } from '../definitions/rules.ts';`,
      undefined,
    );
  });

  it('finds modules nobody placed, and the server reaching outside itself', () => {
    finds(`${SRC}/modules/strays/index.ts`, '', /module strays is not in scripts\/layers/);
    finds(
      `${SRC}/modules/jobs/x.ts`,
      `import '../../../../../scripts/layers.ts';`,
      /not part of the server/,
    );
  });

  it('finds circles between modules and between folders of platform', () => {
    const found = check({
      [`${SRC}/platform/db/a.ts`]: `import '../http/b.ts';`,
      [`${SRC}/platform/http/b.ts`]: `import '../outbox/c.ts';`,
      [`${SRC}/platform/outbox/c.ts`]: `import '../db/a.ts';`,
      [`${SRC}/modules/jobs/index.ts`]: `import '../queue/index.ts';`,
      [`${SRC}/modules/queue/index.ts`]: `import '../jobs/index.ts';`,
    }).join('\n');
    assert.match(found, /cycle: platform\/db → platform\/http → platform\/outbox → platform\/db/);
    assert.match(found, /cycle: jobs → queue → jobs/);
  });

  it('finds SQL outside of .sql files and leaves prose alone', () => {
    const file = `${SRC}/modules/jobs/service.ts`;
    const statements = [
      "'select id from jobs'",
      '`\n  update jobs j set x = 1`',
      '"insert into jobs values (1)"',
      "'delete from jobs'",
      '`with gone as (select 1) select 2`',
      "'TRUNCATE'; const b = 'drop table jobs'",
      "'set local role x'",
    ];
    for (const text of statements) finds(file, `const a = ${text};`, /SQL belongs/);
    const prose = [
      "'Select a job'",
      "'select the oldest'",
      "'update failed'",
      "'with care'",
      "// 'select id from jobs'",
    ];
    for (const text of prose)
      finds(file, `const a = 1;\n${text.startsWith('//') ? text : `f(${text});`}`, undefined);
    finds(`${SRC}/modules/jobs/service.test.ts`, `f('select id from jobs');`, undefined);
    finds(`${SRC}/platform/db/migrate.ts`, `f('begin'); f('select id from jobs');`, undefined);
    finds(`${SRC}/modules/jobs/store.sql.ts`, 'const a = `select id from jobs`;', undefined);
  });

  it('finds settings read anywhere but in one file', () => {
    finds(
      `${SRC}/modules/jobs/service.ts`,
      'process.env.PORT',
      /read in apps\/server\/src\/app\/config\.ts only/,
    );
    finds('packages/local-postgres/src/a.ts', 'process.env.PORT', /only/);
    finds(`${SRC}/app/config.ts`, 'process.env.PORT', undefined);
    finds('scripts/a.ts', 'process.env.PORT', undefined);
  });

  it('finds files over 400 lines unless a program wrote them', () => {
    for (const file of [
      `${SRC}/modules/jobs/a.ts`,
      `${SRC}/modules/jobs/store.sql`,
      'scripts/a.cjs',
    ]) {
      finds(file, '\n'.repeat(401), /401 lines/);
      finds(file, '\n'.repeat(400), undefined);
    }
    finds(`${SRC}/modules/jobs/store.sql.ts`, '\n'.repeat(900), undefined);
    finds(
      `packages/sdk/src/a.ts`,
      `// Generated by npm run generate.${'\n'.repeat(900)}`,
      undefined,
    );
  });

  it('finds default exports and names that say nothing', () => {
    finds('packages/sdk/src/a.ts', 'export default 1;', /default export/);
    finds('packages/sdk/src/a.ts', 'export { a as default };', /default export/);
    finds('apps/dashboard/vite.config.ts', 'export default 1;', undefined);
    finds(`${SRC}/modules/jobs/utils.ts`, '', /"utils" says nothing/);
    finds(`${SRC}/modules/jobs/time-helpers.ts`, '', /"helpers"/);
    finds('packages/sdk/common/a.ts', '', /"common"/);
  });
});
