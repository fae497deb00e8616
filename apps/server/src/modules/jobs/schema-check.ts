// JSON Schemas of users (draft 2020-12): refused when malformed, compiled once per job version, run with a
// time limit. A schema is a program somebody else wrote: a pattern can backtrack for ever, uniqueItems is
// quadratic. So nothing is fetched, and every check that is not plainly linear has a watchdog.
import { createContext, Script } from 'node:vm';
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { Clock } from '../../platform/clock.ts';
import type { FailureDetail } from '../../platform/failure.ts';
import { createLru } from '../../platform/lru.ts';

export const maxSchemaBytes = 65_536;
export const maxSchemaDepth = 32;
const maxPatternLength = 1_000;
const maxCachedValidators = 2_000;
const timeLimitMs = 100;
/** After a check ran into the limit the same schema refuses for this long: at most a tenth of a core is lost. */
const restAfterTimeoutMs = 1_000;

export interface SchemaChecks {
  /** What is wrong with a schema somebody wants to save; undefined when it is in order. */
  schemaProblem(schema: unknown): string | undefined;
  /**
   * Empty when the payload fits or nothing is asked of it. An absent payload counts as null. Paths start inside
   * the payload: `items[0].id`, or '' for the whole.
   */
  checkPayload(job: PayloadContract, payload: unknown): FailureDetail[];
  checkResult(config: ResultContract, result: unknown): FailureDetail[];
}

export interface PayloadContract {
  readonly id: string;
  readonly version: number;
  readonly payload_schema: unknown;
}

export interface ResultContract {
  readonly job_id: string;
  readonly version: number;
  readonly result_schema: unknown;
}

interface Validator {
  readonly validate: ValidateFunction;
  readonly is_linear: boolean;
  rests_until: number;
}

export function createSchemaChecks(clock: Clock): SchemaChecks {
  const ajv = new Ajv2020({
    strict: false,
    logger: false,
    addUsedSchema: false,
    allErrors: false,
    inlineRefs: false,
  });
  formats.default(ajv);
  const validators = createLru<Validator>(maxCachedValidators);
  const underWatch = createWatchdog();

  /** @throws Error when ajv refuses the schema */
  function compile(schema: unknown): Validator {
    const own = withoutIdentity(schema);
    try {
      return { validate: ajv.compile(own), is_linear: isLinear(own), rests_until: 0 };
    } finally {
      // ajv keeps every schema it has compiled, and their anchors; forgetting is up to our own cache.
      ajv.removeSchema(own);
      for (const name of Object.keys(ajv.refs)) if (name.startsWith(ownId)) delete ajv.refs[name];
    }
  }

  function check(key: string, schema: unknown, value: unknown): FailureDetail[] {
    if (schema === null || schema === undefined) return [];
    let validator = validators.get(key);
    if (!validator) validators.set(key, (validator = compile(schema)));
    const { validate } = validator;
    const tooSlow = [{ path: '', message: 'takes too long to check against the schema' }];
    if (validator.rests_until > clock.monotonic()) return tooSlow;
    try {
      const fits = validator.is_linear ? validate(value) : underWatch(() => validate(value));
      return fits ? [] : (validate.errors ?? []).map((error) => detailOf(error));
    } catch (error) {
      if (error instanceof RangeError)
        return [{ path: '', message: 'is nested too deeply for the schema' }];
      if (!isTimeout(error)) throw error;
      validator.rests_until = clock.monotonic() + restAfterTimeoutMs;
      return tooSlow;
    }
  }

  return {
    schemaProblem(schema) {
      if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) {
        return 'must be a JSON Schema: an object';
      }
      if (Buffer.byteLength(JSON.stringify(schema)) > maxSchemaBytes) {
        return `is larger than ${maxSchemaBytes} bytes`;
      }
      const problem = structureProblem(schema);
      if (problem !== undefined) return problem;
      try {
        const { validate } = compile(schema);
        underWatch(() => validate(null));
        return undefined;
      } catch (error) {
        if (error instanceof RangeError) return 'refers to itself without end';
        return error instanceof Error ? error.message.slice(0, 300) : 'cannot be compiled';
      }
    },
    checkPayload: (job, payload) =>
      check(`payload/${job.id}/${job.version}`, job.payload_schema, payload ?? null),
    checkResult: (config, result) =>
      check(`result/${config.job_id}/${config.version}`, config.result_schema, result ?? null),
  };
}

/** A schema without an id cannot refer to its root (`#`) when ajv is told not to keep it. */
const ownId = 'urn:strait:schema';

/** `$schema` is ours to say, and ids of two jobs may be equal. */
function withoutIdentity(schema: unknown): Record<string, unknown> {
  const { $schema: _dialect, $id: _id, ...rest } = schema as Record<string, unknown>;
  return { ...rest, $id: ownId };
}

/** What the compiler would accept but we do not. */
function structureProblem(schema: unknown, depth = 0): string | undefined {
  if (typeof schema !== 'object' || schema === null) return undefined;
  if (depth >= maxSchemaDepth) return `is nested more than ${maxSchemaDepth} levels deep`;
  for (const [key, value] of Object.entries(schema)) {
    if (typeof value === 'string') {
      if ((key === '$ref' || key === '$dynamicRef') && !value.startsWith('#')) {
        return `${key} "${value.slice(0, 100)}" is not inside the schema`;
      }
      if (key === '$id' && depth > 0) return '$id is allowed at the top only';
      if (key === 'pattern' && value.length > maxPatternLength)
        return 'has a pattern that is too long';
    }
    if (key === '$async' && value === true) return '$async is not supported';
    if (key === 'patternProperties' && typeof value === 'object' && value !== null) {
      if (Object.keys(value).some((pattern) => pattern.length > maxPatternLength)) {
        return 'has a pattern that is too long';
      }
    }
    const problem = structureProblem(value, depth + 1);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

const linearKeywords = new Set([
  'type',
  'properties',
  'required',
  'items',
  'additionalProperties',
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
  'const',
  'title',
  'description',
  'default',
  'examples',
]);
const maxLinearChoices = 50;

/** Whether a check costs no more than reading the value once, so that it needs no watchdog (0.15 ms each). */
function isLinear(schema: unknown): boolean {
  if (typeof schema !== 'object' || schema === null) return true;
  return Object.entries(schema).every(([keyword, value]) => {
    if (keyword === 'enum') return Array.isArray(value) && value.length <= maxLinearChoices;
    if (!linearKeywords.has(keyword)) return false;
    if (keyword === 'items' || keyword === 'additionalProperties') return isLinear(value);
    if (keyword === 'properties') return Object.values(value as object).every(isLinear);
    return true;
  });
}

/** Runs work that V8 interrupts when it takes longer than the limit; regular expressions too. */
function createWatchdog(): (work: () => boolean) => boolean {
  const context = createContext({ work: undefined as unknown });
  const script = new Script('work()');
  return (work) => {
    context['work'] = work;
    try {
      return script.runInContext(context, { timeout: timeLimitMs }) as boolean;
    } finally {
      context['work'] = undefined;
    }
  };
}

function isTimeout(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT';
}

function detailOf(error: ErrorObject): FailureDetail {
  const params = error.params as { missingProperty?: string; additionalProperty?: string };
  const member = params.missingProperty ?? params.additionalProperty;
  let path = '';
  for (const step of error.instancePath.split('/').slice(1)) {
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~');
    path = stepInto(path, name);
  }
  if (member !== undefined) path = stepInto(path, member);
  if (params.missingProperty !== undefined) return { path: cut(path), message: 'is required' };
  if (params.additionalProperty !== undefined)
    return { path: cut(path), message: 'unknown member' };
  return { path: cut(path), message: error.message ?? 'does not match the schema' };
}

function stepInto(path: string, name: string): string {
  if (/^\d+$/.test(name)) return `${path}[${name}]`;
  return path === '' ? name : `${path}.${name}`;
}

const cut = (path: string) => (path.length > 300 ? `${path.slice(0, 300)}…` : path);
