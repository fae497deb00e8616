// The rules of docs/architecture.md §2 and §10 that a program can check. Runs with every test run, so
// it only looks at text: well under a second for the whole repository.
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { isKnownModule, mayUse, moduleOf } from './layers.ts';

export interface Violation {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

interface Source {
  readonly file: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

interface Import {
  readonly target: string;
  readonly line: number;
}

const MAX_LINES = 400;
const FILES = '{apps,packages,scripts,examples,bench}/**/*.{ts,tsx,cts,mts,js,cjs,mjs,sql}';
const SKIPPED = /(^|\/)(node_modules|dist|generated)(\/|$)/;
const SERVER = 'apps/server/src/';
const SETTINGS = 'apps/server/src/app/config.ts';
const GENERATED = /\.sql\.ts$/;
const isTest = (file: string) => file.endsWith('.test.ts') || file.startsWith('apps/server/test/');

/** Every violation in the checkout at `root`, ordered by file and line. */
export function checkArchitecture(root: string): Violation[] {
  const files = globSync(FILES, { cwd: root, exclude: (name) => SKIPPED.test(name) })
    .map((file) => file.split(path.sep).join('/'))
    .filter((file) => !SKIPPED.test(file))
    .sort();
  const sources = files.map((file): Source => {
    const text = readFileSync(path.join(root, file), 'utf8');
    return { file, text, imports: file.endsWith('.sql') ? [] : importsOf(file, text) };
  });
  return [
    ...sources.flatMap((source) => rules.flatMap((rule) => rule(source))),
    ...cycles(sources),
  ];
}

// `from '…'`, `import '…'`, `import('…')`, with a relative path: packages are not our business.
const IMPORT = /\b(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g;

function importsOf(file: string, text: string): Import[] {
  return [...text.matchAll(IMPORT)].map((match) => ({
    target: path.posix.join(path.posix.dirname(file), match[1] ?? ''),
    line: lineAt(text, match.index),
  }));
}

const lineAt = (text: string, index: number) => text.slice(0, index).split('\n').length;

/** First match of `pattern` in a line that is not a comment. */
function find({ file, text }: Source, pattern: RegExp, message: string): Violation[] {
  return text.split('\n').flatMap((line, index) => {
    if (/^\s*(\/\/|\*|\/\*)/.test(line) || !pattern.test(line)) return [];
    return [{ file, line: index + 1, message }];
  });
}

type Rule = (source: Source) => Violation[];

const directionOfImports: Rule = ({ file, imports }) => {
  const module = moduleOf(file);
  if (module === undefined || isTest(file)) return [];
  if (!isKnownModule(module))
    return [{ file, line: 1, message: `module ${module} is not in scripts/layers.ts` }];
  return imports.flatMap(({ target, line }) => {
    const used = moduleOf(target);
    if (used === undefined) {
      const outside = !target.startsWith(SERVER) && module !== 'app';
      return outside
        ? [{ file, line, message: `imports ${target}, which is not part of the server` }]
        : [];
    }
    if (used === module) return [];
    if (!mayUse(module, used))
      return [{ file, line, message: `${module} imports ${used}, which is not below it` }];
    const entry = `${SERVER}modules/${used}/index.ts`;
    if (!target.startsWith(`${SERVER}modules/`) || target === entry) return [];
    return [{ file, line, message: `imports ${target} past the index.ts of ${used}` }];
  });
};

// The start of a string literal that is a statement. Prose starts with a capital and goes on in small letters.
const SQL = new RegExp(
  String.raw`['"\`]\s*(?:${[
    String.raw`(?:select|SELECT)\s+(?!the\b|a\b|an\b)\S+`,
    String.raw`insert\s+into\s|INSERT\s+INTO\s`,
    String.raw`update\s+\w+\s+(?:\w+\s+)?set\s|UPDATE\s+\w+\s+SET\s`,
    String.raw`delete\s+from\s|DELETE\s+FROM\s`,
    String.raw`with\s+(?:recursive\s+)?\w+\s+as\s|WITH\s+\w+\s+AS\s`,
    String.raw`(?:create|alter|drop)\s+(?:table|index|role|function|policy|schema|database|unique)\b`,
    String.raw`truncate\s+\w|lock\s+table\s|set\s+local\s|listen\s+["\w]|notify\s+\w+\s*['\`,]`,
  ].join('|')})`,
  'g',
);

const sqlInSqlFiles: Rule = (source) => {
  const { file } = source;
  if (!file.startsWith(SERVER) || isTest(file) || GENERATED.test(file) || file.endsWith('.sql'))
    return [];
  if (file.startsWith(`${SERVER}platform/db/`)) return [];
  // Over the whole text, since a literal may open on the line before its first word.
  const code = source.text.replace(/^[ \t]*(\/\/|\*|\/\*).*$/gm, '');
  return [...code.matchAll(SQL)].map(({ index }) => ({
    file,
    line: lineAt(code, index),
    message: 'SQL belongs in a .sql file',
  }));
};

const settingsInOnePlace: Rule = (source) => {
  const { file } = source;
  if (
    !/^(apps\/server\/src|packages\/local-postgres)\//.test(file) ||
    file === SETTINGS ||
    isTest(file)
  )
    return [];
  return find(
    source,
    /\bprocess\.env\b|\benv\b[^'"`]*\bfrom 'node:process'/,
    `process.env is read in ${SETTINGS} only`,
  );
};

const shortFiles: Rule = ({ file, text }) => {
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
  if (lines <= MAX_LINES || GENERATED.test(file) || /^\W*(@generated|Generated )/.test(text))
    return [];
  return [
    {
      file,
      line: lines,
      message: `${lines} lines; the limit for a file written by hand is ${MAX_LINES}`,
    },
  ];
};

const namedExports: Rule = (source) =>
  /\.config\.\w+$/.test(source.file)
    ? []
    : find(source, /^\s*export (default\b|\{.*\bas default\b)/, 'default export');

const tellingNames: Rule = ({ file }) => {
  const parts = file.split('/').flatMap((part) => part.split(/[.-]/));
  const vague = parts.find((part) => /^(utils?|helpers?|common|managers?|misc)$/i.test(part));
  return vague === undefined
    ? []
    : [{ file, line: 1, message: `"${vague}" says nothing about what is inside` }];
};

const rules: readonly Rule[] = [
  directionOfImports,
  sqlInSqlFiles,
  settingsInOnePlace,
  shortFiles,
  namedExports,
  tellingNames,
];

/** Modules, and the folders of platform, must not need each other in a circle. */
function cycles(sources: readonly Source[]): Violation[] {
  const unitOf = (file: string) => {
    const module = moduleOf(file);
    return module === 'platform' ? /platform\/([^/]+\/)?/.exec(file)?.[0].slice(0, -1) : module;
  };
  const edges = new Map<string, Map<string, Violation>>();
  for (const { file, imports } of sources.filter((source) => !isTest(source.file))) {
    const from = unitOf(file);
    for (const { target, line } of imports) {
      const to = unitOf(target);
      // Files directly in platform/ are shared by its folders, which is no circle.
      if (
        from === undefined ||
        to === undefined ||
        from === to ||
        from === 'platform' ||
        to === 'platform'
      )
        continue;
      const out = edges.get(from) ?? new Map<string, Violation>();
      edges.set(from, out);
      if (!out.has(to)) out.set(to, { file, line, message: '' });
    }
  }
  const found: Violation[] = [];
  const finished = new Set<string>();
  const visit = (unit: string, trail: readonly string[]): void => {
    if (finished.has(unit)) return;
    for (const [next, where] of edges.get(unit) ?? []) {
      const start = [...trail, unit].indexOf(next);
      if (start < 0) visit(next, [...trail, unit]);
      else
        found.push({
          ...where,
          message: `cycle: ${[...[...trail, unit].slice(start), next].join(' → ')}`,
        });
    }
    finished.add(unit);
  };
  for (const unit of edges.keys()) visit(unit, []);
  return found;
}

if (import.meta.main) {
  const violations = checkArchitecture(path.join(import.meta.dirname, '..'));
  for (const { file, line, message } of violations) console.error(`${file}:${line}: ${message}`);
  process.exitCode = violations.length > 0 ? 1 : 0;
}
