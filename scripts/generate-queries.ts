// `*.sql` of modules and platform → `*.sql.ts`: typed functions, checked against a migrated database.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, globSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { moduleOf } from './layers.ts';
import { readCatalogue, readOwners, type Catalogue } from './query-catalogue.ts';
import { checkStatement } from './query-checks.ts';
import { describe } from './query-describe.ts';
import { emit, type DescribedStatement } from './query-emit.ts';
import { parseQueryFile, QueryFileError, type Statement } from './query-file.ts';

export interface GeneratedFile {
  /** Relative to the repository, with `/`. */
  readonly file: string;
  /** Undefined: the file has no source any more and goes. */
  readonly content: string | undefined;
}

export interface Generated {
  readonly files: readonly GeneratedFile[];
  /** `file:line: what is wrong`. A file with a problem is not generated; the others are. */
  readonly problems: readonly string[];
}

const SOURCES = 'apps/server/src/{modules,platform}/**/*.sql';
const QUERY_RUNTIME = 'apps/server/src/platform/db/query.ts';
const JSON_COLUMNS = 'apps/server/src/platform/db/json-columns.ts';

/** `url`: a database with all migrations applied. Only files whose path contains all `words`. */
export async function generateQueries(
  root: string,
  url: string,
  words: readonly string[] = [],
): Promise<Generated> {
  const wanted = (file: string) => words.every((word) => file.includes(word));
  const list = (pattern: string) =>
    globSync(pattern, { cwd: root })
      .map((file) => file.split(path.sep).join('/'))
      .filter(wanted)
      .sort();
  const sources = list(SOURCES);
  const orphans = list(`${SOURCES}.ts`).filter(
    (file) => !existsSync(path.join(root, file.slice(0, -3))),
  );

  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const context: Context = {
      root,
      client,
      catalogue: await readCatalogue(client),
      owners: readOwners(path.join(root, 'apps/server/migrations')),
      jsonColumns: readJsonColumns(path.join(root, JSON_COLUMNS)),
    };
    const files: GeneratedFile[] = orphans.map((file) => ({ file, content: undefined }));
    const problems: string[] = [];
    for (const source of sources) {
      const { content, problems: found } = await generateFile(context, source);
      problems.push(...found);
      if (content !== undefined) files.push({ file: `${source}.ts`, content });
    }
    return { files, problems };
  } finally {
    await client.end();
  }
}

interface Context {
  readonly root: string;
  readonly client: pg.Client;
  readonly catalogue: Catalogue;
  readonly owners: ReadonlyMap<string, string>;
  readonly jsonColumns: ReadonlySet<string>;
}

async function generateFile(
  context: Context,
  source: string,
): Promise<{ content?: string; problems: string[] }> {
  let statements: Statement[];
  try {
    statements = parseQueryFile(readFileSync(path.join(context.root, source), 'utf8'));
  } catch (error) {
    if (!(error instanceof QueryFileError)) throw error;
    return { problems: [`${source}:${error.line}: ${error.message}`] };
  }
  const module = moduleOf(source) ?? '';
  const described: DescribedStatement[] = [];
  const problems: string[] = [];
  const complain = ({ line, name }: Statement, message: string) =>
    problems.push(`${source}:${line}: ${name}: ${message}`);
  for (const statement of statements) {
    try {
      const description = await describe(
        context.client,
        context.catalogue,
        statement.describedText,
      );
      const found = checkStatement(
        statement,
        description,
        context.catalogue,
        context.owners,
        module,
      );
      for (const problem of found) complain(statement, problem);
      described.push({ statement, description });
    } catch (error) {
      complain(statement, explain(error, statement.describedText));
    }
  }
  if (problems.length > 0) return { problems };

  const relative = (target: string) => {
    const found = path.posix.relative(path.posix.dirname(source), target);
    return found.startsWith('.') ? found : `./${found}`;
  };
  try {
    const content = emit(described, context.catalogue, {
      source: path.posix.basename(source),
      queryModule: relative(QUERY_RUNTIME),
      jsonColumnsModule: relative(JSON_COLUMNS),
      jsonColumns: context.jsonColumns,
      preparedName: (statement) => preparedName(source, statement),
    });
    return { content, problems };
  } catch (error) {
    return { problems: [`${source}: ${(error as Error).message}`] };
  }
}

/** module_verbNoun_hash; PostgreSQL cuts names at 63 bytes, so the module's part gives way. */
export function preparedName(source: string, statement: Statement): string {
  const folder = path.posix.dirname(source).replace(/^apps\/server\/src\/(modules\/)?/, '');
  const hash = createHash('sha256').update(statement.text).digest('hex').slice(0, 8);
  return `${folder.replace(/[^a-z0-9]+/g, '_')}_${statement.name}_${hash}`.slice(-63);
}

/** Keys of the interface JsonColumns. */
function readJsonColumns(file: string): Set<string> {
  if (!existsSync(file)) return new Set();
  const keys = readFileSync(file, 'utf8').matchAll(/^\s*(?:readonly\s+)?'(\w+\.\w+)'\??:/gm);
  return new Set([...keys].map(([, key]) => key ?? ''));
}

function explain(error: unknown, text: string): string {
  const { message, position, hint } = error as {
    message: string;
    position?: string;
    hint?: string;
  };
  const before = position === undefined ? undefined : text.slice(0, Number(position) - 1);
  const near =
    before === undefined ? '' : ` at \`${text.slice(before.length).split('\n')[0]?.slice(0, 40)}\``;
  return `${message}${near}${hint === undefined ? '' : ` (${hint})`}`;
}
