// An OpenAPI 3.x document reduced to what two implementations of one contract must agree on: per
// operation its path, permission, parameters, bodies; per named schema its members and limits.

type Json = Readonly<Record<string, unknown>>;

export const limitNames = [
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'minProperties',
  'maxProperties',
] as const;

/** A schema. `ref` names one of `CompactContract.types`; everything else is absent then. */
export interface Node {
  readonly ref?: string;
  /** `any` takes every JSON value; `union` has `options`. */
  readonly type?: string;
  readonly nullable?: true;
  readonly enum?: readonly unknown[];
  readonly limits?: Readonly<Record<string, number>>;
  readonly items?: Node;
  /** Values of an object used as a map. */
  readonly values?: Node;
  readonly members?: Readonly<Record<string, Member>>;
  readonly options?: readonly Node[];
}

export interface Member extends Node {
  /** Always there. Absent: may be missing. */
  readonly required?: true;
  /** Left out of replies when it has no value. */
  readonly omit_empty?: true;
}

export interface CompactOperation {
  readonly id: string;
  readonly method: string;
  /** `/v1/jobs/{jobID}`. */
  readonly path: string;
  /** A scope, or `public`, `run_token`, `authenticated`. */
  readonly scope: string;
  /** `query.limit`, `header.idempotency-key`. Path parameters are in the path. */
  readonly parameters: Readonly<Record<string, Member>>;
  readonly body?: Member;
  /** Success status → body; null = none, a text = the content type of a body that is not JSON. */
  readonly replies: Readonly<Record<string, Node | string | null>>;
}

export interface CompactContract {
  readonly operations: readonly CompactOperation[];
  readonly types: Readonly<Record<string, Node>>;
}

const methods = ['get', 'post', 'put', 'patch', 'delete'];

export function compactContract(document: Json): CompactContract {
  const operations: CompactOperation[] = [];
  for (const [path, entry] of Object.entries(asObject(document['paths']))) {
    for (const [method, operation] of Object.entries(asObject(entry))) {
      if (methods.includes(method)) {
        operations.push(compactOperation(document, path, method, asObject(operation)));
      }
    }
  }
  const schemas = asObject(asObject(document['components'])['schemas']);
  const types = Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [name, compactNode(schema, document)]),
  );
  return { operations, types };
}

function compactOperation(
  document: Json,
  path: string,
  method: string,
  operation: Json,
): CompactOperation {
  const parameters: Record<string, Member> = {};
  for (const given of asList(operation['parameters'])) {
    const parameter = resolve(asObject(given), document);
    if (parameter['in'] === 'path') continue;
    const name = `${String(parameter['in'])}.${String(parameter['name']).toLowerCase()}`;
    parameters[name] = {
      ...compactNode(parameter['schema'], document),
      ...(parameter['required'] === true && { required: true }),
    };
  }
  const request =
    operation['requestBody'] === undefined
      ? undefined
      : resolve(asObject(operation['requestBody']), document);
  const replies: Record<string, Node | string | null> = {};
  for (const [status, given] of Object.entries(asObject(operation['responses']))) {
    if (!status.startsWith('2')) continue;
    const content = Object.entries(asObject(resolve(asObject(given), document)['content']));
    const [type, media] = content[0] ?? [];
    if (type === undefined) replies[status] = null;
    else if (type !== 'application/json') replies[status] = type;
    else replies[status] = compactNode(asObject(media)['schema'], document);
  }
  return {
    id: String(operation['operationId']),
    method: method.toUpperCase(),
    path,
    scope: scopeOf(operation),
    parameters,
    ...(request && {
      body: {
        ...compactNode(
          asObject(asObject(request['content'])['application/json'])['schema'],
          document,
        ),
        ...(request['required'] === true && { required: true }),
      },
    }),
    replies,
  };
}

function scopeOf(operation: Json): string {
  if (typeof operation['x-scope'] === 'string') return operation['x-scope'];
  const names = asList(operation['security']).flatMap((way) => Object.keys(asObject(way)));
  if (names.length === 0) return 'public';
  return names.includes('RunToken') ? 'run_token' : 'authenticated';
}

function compactNode(given: unknown, document: Json): Node {
  const schema = asObject(given);
  if (typeof schema['$ref'] === 'string') {
    return { ref: schema['$ref'].slice(schema['$ref'].lastIndexOf('/') + 1) };
  }
  if (Array.isArray(schema['allOf'])) return merged(schema['allOf'], document);
  const options = schema['anyOf'] ?? (schema['type'] === undefined ? schema['oneOf'] : undefined);
  if (Array.isArray(options)) return unionOf(options, document);

  const types = asList(schema['type']).map(String);
  const nullable = types.includes('null') && types.length > 1;
  const type = types.find((name) => name !== 'null') ?? types[0] ?? typeOfValues(schema);
  const limits = limitsOf(schema);
  const values = asList(schema['enum'] ?? ('const' in schema ? [schema['const']] : []));
  return {
    type,
    ...(nullable && { nullable }),
    ...(values.length > 0 && { enum: [...values].sort() }),
    ...(limits && { limits }),
    ...(type === 'array' && { items: compactNode(schema['items'], document) }),
    ...(type === 'object' && objectOf(schema, document)),
  };
}

function objectOf(schema: Json, document: Json): Partial<Node> {
  const required = new Set(asList(schema['required']));
  const properties = Object.entries(asObject(schema['properties']));
  const others = schema['additionalProperties'];
  const members = properties.map(([name, member]): [string, Member] => [
    name,
    {
      ...compactNode(member, document),
      ...(required.has(name) && { required: true }),
      ...(asObject(member)['x-omit-empty'] === true && { omit_empty: true }),
    },
  ]);
  return {
    ...(members.length > 0 && { members: Object.fromEntries(members) }),
    ...(typeof others === 'object' && others !== null && { values: compactNode(others, document) }),
  };
}

/** `allOf` of objects: one object with all their members. */
function merged(parts: readonly unknown[], document: Json): Node {
  const members: Record<string, Member> = {};
  for (const part of parts) {
    const schema = resolve(asObject(part), document);
    Object.assign(members, compactNode(schema, document).members);
  }
  return { type: 'object', members };
}

function unionOf(parts: readonly unknown[], document: Json): Node {
  const nodes = parts.map((part) => compactNode(part, document));
  const options = nodes.filter((node) => node.type !== 'null');
  const nullable = options.length < nodes.length;
  if (options.some((node) => node.type === 'any')) return { type: 'any' };
  const [only] = options;
  if (only && options.length === 1) return nullable ? { ...only, nullable: true } : only;
  return { type: 'union', options, ...(nullable && { nullable: true }) };
}

/** Bounds that only say "an integer a double can hold" are none. */
function limitsOf(schema: Json): Record<string, number> | undefined {
  const limits = limitNames.flatMap((name): [string, number][] => {
    const value = schema[name];
    return typeof value !== 'number' || Math.abs(value) >= Number.MAX_SAFE_INTEGER
      ? []
      : [[name, value]];
  });
  // A length of at least 0 is no limit either.
  const telling = limits.filter(([name, value]) => !(value === 0 && /^min[LIP]/.test(name)));
  return telling.length > 0 ? Object.fromEntries(telling) : undefined;
}

function typeOfValues(schema: Json): string {
  const [first] = asList(schema['enum'] ?? ('const' in schema ? [schema['const']] : []));
  return first === undefined ? 'any' : typeof first;
}

/** Follows one `$ref` within the document. */
function resolve(value: Json, document: Json): Json {
  const ref = value['$ref'];
  if (typeof ref !== 'string') return value;
  let target: unknown = document;
  for (const step of ref.slice(2).split('/')) target = asObject(target)[step];
  return asObject(target);
}

function asObject(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}

function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : value === undefined ? [] : [value];
}
