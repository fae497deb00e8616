// Writes `store.sql.ts`: for each statement its parameter and row types and one function.
import type { Catalogue } from './query-catalogue.ts';
import type { DescribedColumn, Description } from './query-describe.ts';
import type { Parameter, Statement } from './query-file.ts';

export interface DescribedStatement {
  readonly statement: Statement;
  readonly description: Description;
}

export interface EmitOptions {
  /** Source as named in the header of the generated file. */
  readonly source: string;
  readonly queryModule: string;
  readonly jsonColumnsModule: string;
  /** `table.column` of every json column with a declared type. */
  readonly jsonColumns: ReadonlySet<string>;
  /** Name under which the server keeps a `prepared` statement. */
  readonly preparedName: (statement: Statement) => string;
}

const SCALARS: Readonly<Record<string, string>> = {
  bool: 'boolean',
  bytea: 'Buffer',
  ...Object.fromEntries(
    ['int2', 'int4', 'int8', 'float4', 'float8', 'oid'].map((name) => [name, 'number']),
  ),
  ...Object.fromEntries(
    'text varchar bpchar char name uuid numeric citext timestamptz timestamp date time timetz interval inet cidr tid xid xid8 pg_lsn regclass void'
      .split(' ')
      .map((name) => [name, 'string']),
  ),
};

const isJson = (name: string) => name === 'json' || name === 'jsonb';

/** Throws for types that have no TypeScript counterpart here; cast them in the statement. */
export function typeOf(catalogue: Catalogue, oid: number, json = 'unknown'): string {
  const type = catalogue.types.get(oid);
  if (!type) throw new Error(`unknown type ${oid}`);
  if (type.base !== undefined) return typeOf(catalogue, type.base, json);
  if (type.element !== undefined) return `readonly ${wrap(typeOf(catalogue, type.element))}[]`;
  if (type.labels.length > 0)
    return type.labels.map((label) => `'${label.replaceAll("'", "\\'")}'`).join(' | ');
  if (isJson(type.name)) return json;
  const scalar = SCALARS[type.name];
  if (scalar === undefined)
    throw new Error(`type ${type.name} is not supported; cast it to one that is`);
  return scalar;
}

const wrap = (type: string) => (type.includes(' ') ? `(${type})` : type);
const orNull = (type: string, nullable: boolean) =>
  nullable && type !== 'unknown' ? `${type} | null` : type;

/** A typed row column: the alias without its mark, which overrides what the catalogue says. */
export function rowColumn(column: DescribedColumn): { name: string; nullable: boolean } {
  const mark = /[!?]$/.exec(column.name)?.[0];
  if (mark === undefined) return { name: column.name, nullable: column.nullable };
  return { name: column.name.slice(0, -1), nullable: mark === '?' };
}

export function emit(
  statements: readonly DescribedStatement[],
  catalogue: Catalogue,
  options: EmitOptions,
): string {
  const bodies = statements.map((described) => emitStatement(described, catalogue, options));
  const shapes = [...new Set(statements.map(({ statement }) => statement.shape))].sort();
  const imports = [
    ...(bodies.some((body) => body.includes('JsonColumns['))
      ? [`import type { JsonColumns } from '${options.jsonColumnsModule}';`]
      : []),
    `import { ${[...shapes, 'type Queryable'].join(', ')} } from '${options.queryModule}';`,
  ];
  return [
    `// Generated from ${options.source} by \`npm run generate\`. Do not edit.`,
    ...imports,
    '',
    ...bodies,
  ].join('\n');
}

function emitStatement(
  { statement, description }: DescribedStatement,
  catalogue: Catalogue,
  options: EmitOptions,
): string {
  const { name, shape, parameters, documentation } = statement;
  const title = name.charAt(0).toUpperCase() + name.slice(1);
  const at = (index: number) => description.parameters[index] ?? 0;
  const out: string[] = [];

  if (parameters.length > 0) {
    const fields = parameters.map((parameter, index) => {
      const type = parameterType(catalogue, parameter, at(index));
      return `  readonly ${parameter.name}: ${orNull(type, parameter.nullable)};`;
    });
    out.push(`export interface ${title}Params {`, ...fields, '}', '');
  }
  if (shape !== 'count')
    out.push(...emitRow(title, description.columns ?? [], catalogue, options), '');

  out.push(`const ${name}Text = \`${escapeTemplate(statement.text)}\`;`, '');
  if (documentation.length > 0) {
    const lines = documentation.map((line) => line.replaceAll('*/', '*\\/'));
    if (lines.length === 1) out.push(`/** ${lines[0]} */`);
    else out.push('/**', ...lines.map((line) => ` * ${line}`.trimEnd()), ' */');
  }
  const returned = {
    one: `${title}Row`,
    maybe: `${title}Row | undefined`,
    many: `${title}Row[]`,
    count: 'number',
  }[shape];
  const values = parameters.map((parameter, index) =>
    parameterValue(catalogue, parameter, at(index)),
  );
  out.push(
    `export function ${name}(db: Queryable${parameters.length > 0 ? `, params: ${title}Params` : ''}): Promise<${returned}> {`,
    `  return ${shape}${shape === 'count' ? '' : `<${title}Row>`}(db, {`,
    `    text: ${name}Text,`,
    values.length > 1
      ? ['    values: [', ...values.map((value) => `      ${value},`), '    ],'].join('\n')
      : `    values: [${values.join('')}],`,
    ...(statement.prepared ? [`    name: '${options.preparedName(statement)}',`] : []),
    '  });',
    '}',
    '',
  );
  return out.join('\n');
}

function emitRow(
  title: string,
  columns: readonly DescribedColumn[],
  catalogue: Catalogue,
  options: EmitOptions,
): string[] {
  if (columns.length === 0) return [`export type ${title}Row = Record<string, never>;`];
  const seen = new Set<string>();
  const fields = columns.map((column) => {
    const { name, nullable } = rowColumn(column);
    if (name === '?column?' || name === '?column')
      throw new Error('a result column has no name; give it an alias');
    if (seen.has(name)) throw new Error(`two result columns are named ${name}`);
    seen.add(name);
    const json = options.jsonColumns.has(column.origin ?? '')
      ? `JsonColumns['${column.origin}']`
      : 'unknown';
    const key = /^[A-Za-z_]\w*$/.test(name) ? name : `'${name}'`;
    return `  readonly ${key}: ${orNull(typeOf(catalogue, column.type, json), nullable)};`;
  });
  return [`export interface ${title}Row {`, ...fields, '}'];
}

/** A `*_json` parameter of type jsonb takes text that is JSON already. */
const isSerialised = (parameter: Parameter, typeName: string | undefined) =>
  isJson(typeName ?? '') && parameter.name.endsWith('_json');

function parameterType(catalogue: Catalogue, parameter: Parameter, oid: number): string {
  if (isSerialised(parameter, catalogue.types.get(oid)?.name)) return 'string';
  // Elements may be null: batches carry one array per column, and columns are often optional.
  const element = catalogue.types.get(oid)?.element;
  if (element === undefined) return typeOf(catalogue, oid);
  return `readonly ${wrap(orNull(typeOf(catalogue, element), true))}[]`;
}

function parameterValue(catalogue: Catalogue, parameter: Parameter, oid: number): string {
  const value = `params.${parameter.name}`;
  const type = catalogue.types.get(oid);
  if (isSerialised(parameter, type?.name)) return value;
  if (isJson(type?.name ?? '')) {
    // SQL null and the JSON value null are different things; only a nullable parameter can be the former.
    return parameter.nullable
      ? `${value} == null ? null : JSON.stringify(${value})`
      : `JSON.stringify(${value})`;
  }
  const element = type?.element === undefined ? undefined : catalogue.types.get(type.element)?.name;
  if (isJson(element ?? '')) {
    const list = `.map((item) => (item === null ? null : JSON.stringify(item)))`;
    return parameter.nullable ? `${value} === null ? null : ${value}${list}` : `${value}${list}`;
  }
  return value;
}

const escapeTemplate = (text: string) => text.replace(/[\\`]|\$\{/g, '\\$&');
