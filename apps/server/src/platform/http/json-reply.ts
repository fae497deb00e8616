// Replies: which members of a value go out. Compiled once per schema, on first use, so that a request
// walks only its own data: members the schema does not name never leave the server, fields marked
// `omitEmpty` leave only with a value, and raw JSON (`z.unknown()`, `z.json()`, records) passes untouched.

import { z } from 'zod';

/**
 * A field absent from the reply when it is null, "", 0, false, [] or {}. Handlers may hand in any of
 * these, so rows need no conversion.
 */
export function omitEmpty<Schema extends z.ZodType>(
  schema: Schema,
): z.ZodOptional<z.ZodNullable<Schema>> {
  return schema.nullish().meta({ 'x-omit-empty': true });
}

export function isOmitEmpty(schema: z.core.$ZodType): boolean {
  return z.globalRegistry.get(schema)?.['x-omit-empty'] === true;
}

/** Shapes one value for the wire. Never changes its argument. */
export type Shape = (value: unknown) => unknown;

interface Member {
  readonly name: string;
  readonly omit_empty: boolean;
  readonly shape: Shape | undefined;
}

const compiled = new WeakMap<z.core.$ZodType, Shape | 'as_is'>();

/** What to do with values of `schema`; undefined = send them as they are. */
export function shapeOf(schema: z.core.$ZodType): Shape | undefined {
  const known = compiled.get(schema);
  if (known !== undefined) return known === 'as_is' ? undefined : known;
  // Recursive schemas meet this placeholder, which looks the finished shape up when it runs.
  compiled.set(schema, (value) => shapeOf(schema)?.(value) ?? value);
  const shape = compile(schema);
  compiled.set(schema, shape ?? 'as_is');
  return shape;
}

function compile(schema: z.core.$ZodType): Shape | undefined {
  const def = (schema as z.core.$ZodTypes)._zod.def;
  switch (def.type) {
    case 'optional':
    case 'nullable':
    case 'default':
    case 'readonly':
    case 'nonoptional':
      return shapeOf(def.innerType);
    case 'lazy':
      return shapeOf(def.getter());
    case 'pipe':
      return shapeOf(def.in);
    case 'array': {
      const item = shapeOf(def.element);
      return item && ((value) => (Array.isArray(value) ? value.map(item) : value));
    }
    case 'record': {
      const item = shapeOf(def.valueType);
      return item && ((value) => mapValues(value, item));
    }
    case 'union':
      return shapeOfUnion(def.options);
    case 'object':
      return shapeOfObject(
        def.shape,
        def.catchall !== undefined && def.catchall._zod.def.type !== 'never',
      );
    default:
      return undefined;
  }
}

function shapeOfObject(
  members: Readonly<Record<string, z.core.$ZodType>>,
  keep_others: boolean,
): Shape {
  const plan: Member[] = Object.entries(members).map(([name, member]) => ({
    name,
    omit_empty: isOmitEmpty(member),
    shape: shapeOf(member),
  }));
  const named = new Set(plan.map((member) => member.name));
  return (value) => {
    if (!isPlainObject(value)) return value;
    const out: Record<string, unknown> = {};
    for (const { name, omit_empty, shape } of plan) {
      const given = value[name];
      if (given === undefined || (omit_empty && isEmpty(given))) continue;
      out[name] = shape ? shape(given) : given;
    }
    if (keep_others)
      for (const name of Object.keys(value)) if (!named.has(name)) setOwn(out, name, value[name]);
    return out;
  };
}

/** The first option that accepts the value decides; objects no option accepts go out unchanged (and fail the check). */
function shapeOfUnion(options: readonly z.core.$ZodType[]): Shape | undefined {
  const candidates = options.map((option) => ({ option, shape: shapeOf(option) }));
  if (candidates.every(({ shape }) => shape === undefined)) return undefined;
  return (value) => {
    if (typeof value !== 'object' || value === null) return value;
    for (const { option, shape } of candidates) {
      if (z.safeParse(option, value).success) return shape ? shape(value) : value;
    }
    return value;
  };
}

function mapValues(value: unknown, shape: Shape): unknown {
  if (!isPlainObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, shape(member)]));
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === '' || value === 0 || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  if (typeof value !== 'object') return false;
  for (const _ in value as object) return false;
  return true;
}

/** Plain assignment to `__proto__` would replace the prototype. */
function setOwn(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, {
    value,
    enumerable: true,
    writable: true,
    configurable: true,
  });
}
