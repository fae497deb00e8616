// Parser of `store.sql`: named statements with named parameters. It knows just enough SQL to tell
// parameters from casts, strings, comments and array slices; meaning is PostgreSQL's business.

export type Shape = 'one' | 'maybe' | 'many' | 'count';

export interface Parameter {
  readonly name: string;
  readonly nullable: boolean;
}

export interface Statement {
  readonly name: string;
  readonly shape: Shape;
  readonly prepared: boolean;
  /** Comment lines between the header and the statement. */
  readonly documentation: readonly string[];
  /** Reason of `-- across projects: …`, wherever in the statement it stands. */
  readonly acrossProjects: string | undefined;
  /** What is sent: comments gone, parameters as `$n`, `"alias!"` as `"alias"`. */
  readonly text: string;
  /** What is described: as `text`, aliases with their `!` or `?`. */
  readonly describedText: string;
  /** In order of `$n`. */
  readonly parameters: readonly Parameter[];
  /** Line of the `-- name:` header, from 1. */
  readonly line: number;
}

export class QueryFileError extends Error {
  readonly line: number;

  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

const HEADER = /^--\s*name:/;
const HEADER_PARTS = /^--\s*name:\s*(\S+)\s+:(one|maybe|many|count)(\s+prepared)?\s*$/;
const ACROSS_PROJECTS = /--[ \t]*across projects:[ \t]*(\S.*)$/m;

/** Statements of one file, in order. Throws QueryFileError. */
export function parseQueryFile(source: string): Statement[] {
  const lines = source.split(/\r?\n/);
  const starts = lines.flatMap((line, index) => (HEADER.test(line) ? [index] : []));
  const before = lines.slice(0, starts[0] ?? lines.length);
  const stray = before.findIndex((line) => line.trim() !== '' && !line.trim().startsWith('--'));
  if (stray >= 0) throw new QueryFileError(stray + 1, 'SQL before the first `-- name:` header');

  const statements = starts.map((start, index) =>
    parseStatement(lines.slice(start, starts[index + 1] ?? lines.length), start + 1),
  );
  const seen = new Set<string>();
  for (const { name, line } of statements) {
    if (seen.has(name)) throw new QueryFileError(line, `${name} is defined twice`);
    seen.add(name);
  }
  return statements;
}

function parseStatement(lines: readonly string[], line: number): Statement {
  const [, name, shape, prepared] = HEADER_PARTS.exec(lines[0] ?? '') ?? [];
  if (name === undefined || shape === undefined) {
    throw new QueryFileError(
      line,
      'expected `-- name: verbNoun :one|:maybe|:many|:count [prepared]`',
    );
  }
  if (!/^[a-z]+[A-Z][A-Za-z0-9]*$/.test(name)) {
    throw new QueryFileError(line, `${name}: statements are named verbNoun`);
  }
  // Comments after the last line of SQL are headings of what follows.
  const last = lines.findLastIndex((text, index) => index > 0 && !/^\s*(--.*)?$/.test(text));
  const body = lines.slice(1, last + 1);
  const first = body.findIndex((text) => !/^\s*--/.test(text));
  const documentation = body
    .slice(0, first < 0 ? body.length : first)
    .map((text) => text.replace(/^\s*--\s?/, '').trimEnd());
  const { text, describedText, parameters } = rewrite(body.join('\n'), line + 1);
  if (text === '') throw new QueryFileError(line, `${name} has no statement`);
  return {
    name,
    shape: shape as Shape,
    prepared: prepared !== undefined,
    documentation,
    acrossProjects: ACROSS_PROJECTS.exec(body.join('\n'))?.[1]?.trim(),
    text,
    describedText,
    parameters,
    line,
  };
}

// One alternative per thing that may contain a colon, in the order they must be tried. The last
// two are parameters and everything else.
const TOKEN = new RegExp(
  [
    String.raw`(?<comment>--[^\n]*)`,
    String.raw`(?<block>/\*)`,
    String.raw`(?<escaped>\b[eE]'(?:[^'\\]|\\[\s\S]|'')*')`,
    String.raw`(?<string>'(?:[^']|'')*')`,
    String.raw`(?<quoted>"(?:[^"]|"")*")`,
    String.raw`(?<dollar>\$(?<tag>[A-Za-z_]\w*|)\$[\s\S]*?\$\k<tag>\$)`,
    String.raw`(?<position>\$\d+)`,
    String.raw`(?<operator>::|:=)`,
    // A colon straight after a name, number or bracket is an array slice, `a[low:high]`.
    String.raw`(?<![\w)\]"]):(?<parameter>[a-z_]\w*)(?<nullable>\?)?`,
    String.raw`(?<end>;)`,
    String.raw`[A-Za-z_]\w*|[\s\S]`,
  ].join('|'),
  'y',
);

function rewrite(source: string, firstLine: number) {
  const parameters: { name: string; nullable: boolean }[] = [];
  let text = '';
  let describedText = '';
  let ended = false;
  let multiLineString = false;
  const fail = (message: string, at: number): never => {
    throw new QueryFileError(firstLine + source.slice(0, at).split('\n').length - 1, message);
  };
  const emit = (sent: string, described = sent) => {
    text += sent;
    describedText += described;
  };

  for (let at = 0; at < source.length;) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(source);
    const token = match?.[0] ?? '';
    const groups = match?.groups ?? {};
    if (token === '') fail('cannot read this', at);
    let length = token.length;

    if (groups.block !== undefined) {
      length = blockCommentLength(source, at) || fail('comment never ends', at);
      emit(' ');
    } else if (groups.comment !== undefined) {
      // Left out: every byte of the text travels with every unprepared call.
    } else if (groups.position !== undefined) {
      fail(`${token}: parameters are named, \`:like_this\``, at);
    } else if (groups.end !== undefined) {
      ended = true;
    } else if (ended && token.trim() !== '') {
      fail('one statement per name', at);
    } else if (groups.parameter !== undefined) {
      const name = groups.parameter;
      let index = parameters.findIndex((parameter) => parameter.name === name);
      if (index < 0) index = parameters.push({ name, nullable: false }) - 1;
      const parameter = parameters[index];
      if (parameter && groups.nullable !== undefined) parameter.nullable = true;
      emit(`$${index + 1}`);
    } else if (groups.quoted !== undefined) {
      emit(token.replace(/[!?]"$/, '"'), token);
    } else if (token.includes('\n') && token !== '\n') {
      multiLineString = true;
      emit(token);
    } else if (token === "'" || token === '"') {
      fail('quote never ends', at);
    } else {
      emit(token);
    }
    at += length;
  }
  if (multiLineString)
    return { text: text.trim(), describedText: describedText.trim(), parameters };
  return { text: tidy(text), describedText: tidy(describedText), parameters };
}

/** Block comments nest in PostgreSQL. 0 when it never ends. */
function blockCommentLength(source: string, start: number): number {
  let depth = 0;
  const mark = /\/\*|\*\//g;
  mark.lastIndex = start;
  for (let match = mark.exec(source); match; match = mark.exec(source)) {
    depth += match[0] === '/*' ? 1 : -1;
    if (depth === 0) return mark.lastIndex - start;
  }
  return 0;
}

/** Without trailing blanks and empty lines, which removing comments leaves behind. */
function tidy(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
    .join('\n')
    .trim();
}
