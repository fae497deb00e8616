// `npm run workflow-test -- <file> [--filter text] [--format text|json|junit]`: tests of workflows, run by a server.
// Exit code 0: all passed, 1: some did not, 2: the file is not valid or nothing could be run.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { parseDocument } from 'yaml';
import { FORMATS, report, type Format, type SuiteResult } from './reports.ts';

const USAGE = `usage: npm run workflow-test -- <file> [--filter text] [--format ${FORMATS.join('|')}]
                            [--url http://…] [--api-key …]

The file is JSON or YAML, see docs/workflows.md. Without --url and --api-key: STRAIT_URL and STRAIT_API_KEY, else those of the
product that \`npm start\` started last.`;

/** Nothing was tested. */
class Unusable extends Error {}

interface Options {
  readonly file: string;
  readonly filter: string;
  readonly format: Format;
  readonly url: string;
  readonly api_key: string;
}

function optionsOf(args: readonly string[]): Options {
  const text = { type: 'string' } as const;
  const parsed = (() => {
    try {
      const options = { filter: text, format: text, url: text, 'api-key': text };
      return parseArgs({ args: [...args], allowPositionals: true, options });
    } catch (error) {
      throw new Unusable(`${messageOf(error)}\n${USAGE}`);
    }
  })();
  const { values, positionals } = parsed;
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0) throw new Unusable(USAGE);
  const { filter = '', format = 'text' } = values;
  const known = FORMATS.find((one) => one === format);
  if (!known) throw new Unusable(`--format must be one of ${FORMATS.join(', ')}`);
  const { STRAIT_URL, STRAIT_API_KEY } = process.env;
  const url = values.url ?? STRAIT_URL;
  const api_key = values['api-key'] ?? STRAIT_API_KEY;
  const local = url === undefined || api_key === undefined ? localServer() : undefined;
  return {
    file,
    filter,
    format: known,
    url: url ?? local?.base_url ?? '',
    api_key: api_key ?? local?.api_key ?? '',
  };
}

function localServer(): { readonly base_url: string; readonly api_key: string } {
  const home = process.env['STRAIT_HOME'] ?? path.join(import.meta.dirname, '../../.strait');
  try {
    return JSON.parse(readFileSync(path.join(home, 'dev.json'), 'utf8'));
  } catch {
    throw new Unusable('no server: set STRAIT_URL and STRAIT_API_KEY, or run npm start');
  }
}

interface Named {
  readonly name?: unknown;
}

/** JSON is YAML too; the server judges what is in it. */
function testsOf(file: string, filter: string): readonly unknown[] {
  // npm starts programs in the directory of the package.
  const at = path.resolve(process.env['INIT_CWD'] ?? process.cwd(), file);
  const content = (() => {
    try {
      const document = parseDocument(readFileSync(at, 'utf8'), { uniqueKeys: true });
      const [error] = document.errors;
      if (error) throw error;
      return document.toJS() as unknown;
    } catch (error) {
      throw new Unusable(`${file}: ${messageOf(error)}`);
    }
  })();
  const isSuite = typeof content === 'object' && content !== null && !Array.isArray(content);
  const { tests, ...strange } = (isSuite ? content : {}) as { readonly tests?: unknown };
  if (!Array.isArray(tests) || Object.keys(strange).length > 0)
    throw new Unusable(`${file}: must be an object with "tests", a list, and nothing else`);
  const isWanted = (test: unknown) =>
    filter === '' || String((test as Named | null)?.name).includes(filter);
  const wanted = tests.filter(isWanted);
  if (wanted.length === 0)
    throw new Unusable(`${file}: no test ${filter ? 'has such a name' : 'is there'}`);
  return wanted;
}

async function run({ url, api_key }: Options, tests: readonly unknown[]): Promise<SuiteResult> {
  const answer = await fetch(new URL('/v1/workflows/test-suites/run', url), {
    method: 'POST',
    headers: { authorization: `Bearer ${api_key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ tests }),
  }).catch((error: unknown) => {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    throw new Unusable(`${url}: ${messageOf(cause)}`);
  });
  const text = await answer.text();
  if (answer.ok) return JSON.parse(text) as SuiteResult;
  throw new Unusable(`${answer.status}: ${refusalOf(text)}`);
}

function refusalOf(text: string): string {
  try {
    const { error, details = [] } = JSON.parse(text) as {
      readonly error: string;
      readonly details?: readonly { readonly path: string; readonly message: string }[];
    };
    return [error, ...details.map(({ path: at, message }) => `  ${at}: ${message}`)].join('\n');
  } catch {
    return text;
  }
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message || error.name : String(error);

try {
  const options = optionsOf(process.argv.slice(2));
  const result = await run(options, testsOf(options.file, options.filter));
  console.log(report(options.format, options.file, result));
  process.exitCode = result.passed ? 0 : 1;
} catch (error) {
  if (!(error instanceof Unusable)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
