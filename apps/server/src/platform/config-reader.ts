// Settings as data: each variable knows its name, its text form, its default and what it is for.

export interface Variable<Value> {
  readonly name: string;
  /** Names that are accepted too; the first one that is set wins. */
  readonly aliases: readonly string[];
  /** Command line option that beats the variable, e.g. `--mode`. */
  readonly option: string | undefined;
  /** The text form, for people: `duration`, `one of a, b`. */
  readonly format: string;
  /** As it would be written, or what happens without it. */
  readonly defaultText: string;
  readonly description: string;
  /** `undefined` when it is not set. Throws an Error whose message does not repeat a secret. */
  readonly parse: (text: string | undefined) => Value;
}

export type Variables = { readonly [key: string]: Variable<unknown> | Variables };

/** What a table of variables reads into: the same keys, with values. */
export type Values<Table> = {
  readonly [Key in keyof Table]: Table[Key] extends Variable<infer Value>
    ? Value
    : Values<Table[Key]>;
};

interface Common {
  readonly description: string;
  readonly aliases?: readonly string[];
  readonly option?: string;
}

/** For optional variables: what the documentation says in place of a default. */
interface Optional extends Common {
  readonly unset: string;
}

type WithDefault<Value> = Common & { readonly default: Value };

function variable<Value>(
  name: string,
  format: string,
  settings: Common & { readonly default?: string; readonly unset?: string },
  parse: (text: string) => Value,
): Variable<Value | undefined> {
  const { aliases = [], option, description } = settings;
  const withDefault = (text: string | undefined) => text ?? settings.default;
  return {
    name,
    aliases,
    option,
    format,
    description,
    defaultText: settings.default === undefined ? (settings.unset ?? 'not set') : settings.default,
    parse(given) {
      const text = withDefault(given);
      return text === undefined ? undefined : parse(text);
    },
  };
}

/** Only for settings with a default: `undefined` cannot come out. */
const always = <Value>(made: Variable<Value | undefined>) => made as Variable<Value>;

export function choice<const Choices extends readonly [string, ...string[]]>(
  name: string,
  choices: Choices,
  settings: WithDefault<Choices[number]>,
): Variable<Choices[number]> {
  const parse = (text: string): Choices[number] => {
    if (!choices.includes(text))
      throw new Error(`must be one of ${choices.join(', ')}, not '${text}'`);
    return text;
  };
  return always(
    variable(name, `one of ${choices.map((one) => `\`${one}\``).join(', ')}`, settings, parse),
  );
}

export function integer(
  name: string,
  settings: WithDefault<number> & { readonly min: number; readonly max: number },
): Variable<number> {
  const { min, max } = settings;
  const parse = (text: string) =>
    between(/^-?\d+$/.test(text) ? Number(text) : NaN, min, max, text, 'a whole number');
  return always(variable(name, `whole number, ${min} to ${max}`, asText(settings), parse));
}

export function flag(name: string, settings: WithDefault<boolean>): Variable<boolean> {
  return always(variable(name, '`true` or `false`', asText(settings), parseFlag));
}

/** As `flag`, where not being set means something else than either. */
export function optionalFlag(name: string, settings: Optional): Variable<boolean | undefined> {
  return variable(name, '`true` or `false`', settings, parseFlag);
}

/** In milliseconds, or seconds; written `500ms`, `30s`, `5m`, `1h30m`, `30d`; a plain number is seconds. */
export function duration(
  name: string,
  unit: 'ms' | 'secs',
  settings: WithDefault<string> & { readonly min: string; readonly max: string },
): Variable<number> {
  const [min, max] = [parseDuration(settings.min), parseDuration(settings.max)];
  const parse = (text: string) => {
    const ms = parseDuration(text);
    if (!(ms >= min && ms <= max)) {
      throw new Error(`must be a duration from ${settings.min} to ${settings.max}, not '${text}'`);
    }
    return unit === 'ms' ? ms : Math.round(ms / 1000);
  };
  return always(variable(name, `duration, ${settings.min} to ${settings.max}`, settings, parse));
}

/** Written `65536`, `64KiB`, `1MB` or `1MiB`; K and M are powers of 1024 either way. */
export function bytes(
  name: string,
  settings: WithDefault<string> & { readonly min: string; readonly max: string },
): Variable<number> {
  const [min, max] = [parseBytes(settings.min), parseBytes(settings.max)];
  const parse = (text: string) => {
    const size = parseBytes(text);
    if (!(size >= min && size <= max)) {
      throw new Error(`must be a size from ${settings.min} to ${settings.max}, not '${text}'`);
    }
    return size;
  };
  return always(variable(name, `size, ${settings.min} to ${settings.max}`, settings, parse));
}

export function text(name: string, settings: WithDefault<string>): Variable<string> {
  return always(variable(name, 'text', settings, (value) => value));
}

export function list(
  name: string,
  settings: WithDefault<string> & {
    readonly item: string;
    readonly check?: (item: string) => string | undefined;
  },
): Variable<readonly string[]> {
  const parse = (value: string) => {
    const items = value
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
    for (const item of items) {
      const problem = settings.check?.(item);
      if (problem !== undefined) throw new Error(`'${item}' ${problem}`);
    }
    return items;
  };
  return always(variable(name, `comma-separated ${settings.item}`, settings, parse));
}

/** A value that never appears in a message. `check` returns what is wrong with it. */
export function secret(
  name: string,
  settings: Optional & { readonly check?: (value: string) => string | undefined },
): Variable<string | undefined> {
  return variable(name, 'secret', settings, (value) => {
    const problem = settings.check?.(value);
    if (problem !== undefined) throw new Error(problem);
    return value;
  });
}

/** Several, comma-separated. */
export function secrets(
  name: string,
  settings: Common & { readonly check?: (value: string) => string | undefined },
): Variable<readonly string[]> {
  return always(
    variable(name, 'comma-separated secrets', { ...settings, default: '' }, (value) => {
      const items = value.split(',').filter((item) => item !== '');
      for (const item of items) {
        const problem = settings.check?.(item);
        if (problem !== undefined) throw new Error(problem);
      }
      return items;
    }),
  );
}

/** A connection URL: optional, and secret because it contains a password. */
export function connectionUrl(
  name: string,
  settings: Optional & { readonly schemes: readonly string[] },
): Variable<string | undefined> {
  return variable(
    name,
    `URL starting with ${settings.schemes.join('// or ')}//`,
    settings,
    (value) => {
      if (!URL.canParse(value) || !settings.schemes.includes(new URL(value).protocol)) {
        throw new Error(`must be a URL starting with ${settings.schemes.join('// or ')}//`);
      }
      return value;
    },
  );
}

/** Reads every variable and lists everything that is wrong, instead of stopping at the first. */
export function readVariables<const Table extends Variables>(
  table: Table,
  source: {
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly argv: readonly string[];
  },
): { readonly values: Values<Table>; readonly problems: readonly string[] } {
  const problems: string[] = [];
  const known = new Set(
    variablesOf(table).flatMap(({ option }) => (option === undefined ? [] : [option])),
  );
  const options = readOptions(source.argv, known, problems);

  const read = (one: Variable<unknown>): unknown => {
    // Set to nothing means not set: that is what `docker run -e NAME=` and compose files produce.
    const used = [one.name, ...one.aliases].find((name) => (source.env[name] ?? '').trim() !== '');
    const option = one.option === undefined ? undefined : options.get(one.option);
    try {
      return one.parse(option ?? (used === undefined ? undefined : source.env[used]?.trim()));
    } catch (error) {
      const where = option === undefined ? (used ?? one.name) : one.option;
      problems.push(`${where} ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  };
  const walk = (level: Variables): unknown =>
    Object.freeze(
      Object.fromEntries(
        Object.entries(level).map(([key, entry]) => [
          key,
          isVariable(entry) ? read(entry) : walk(entry),
        ]),
      ),
    );
  return { values: walk(table) as Values<Table>, problems };
}

/** Every variable of a table, in its order. */
export function variablesOf(table: Variables): Variable<unknown>[] {
  return Object.values(table).flatMap((entry) =>
    isVariable(entry) ? [entry] : variablesOf(entry),
  );
}

const isVariable = (entry: Variable<unknown> | Variables): entry is Variable<unknown> =>
  typeof entry['parse'] === 'function';

/** `--name value` and `--name=value`. */
function readOptions(
  argv: readonly string[],
  known: ReadonlySet<string>,
  problems: string[],
): Map<string, string> {
  const options = new Map<string, string>();
  for (let at = 0; at < argv.length; at += 1) {
    const [name, inline] = splitOnce(argv[at] ?? '');
    if (!known.has(name)) {
      problems.push(`unknown argument '${name}'; known are ${[...known].join(', ')}`);
      continue;
    }
    const value = inline ?? argv[(at += 1)];
    if (value === undefined) problems.push(`${name} needs a value`);
    else options.set(name, value);
  }
  return options;
}

function splitOnce(argument: string): [string, string | undefined] {
  const at = argument.indexOf('=');
  return at < 0 ? [argument, undefined] : [argument.slice(0, at), argument.slice(at + 1)];
}

const asText = <Value extends number | boolean>(settings: WithDefault<Value>) => ({
  ...settings,
  default: String(settings.default),
});

function between(value: number, min: number, max: number, given: string, what: string): number {
  if (!(value >= min && value <= max))
    throw new Error(`must be ${what} from ${min} to ${max}, not '${given}'`);
  return value;
}

function parseFlag(text: string): boolean {
  if (/^(true|1|yes|on)$/i.test(text)) return true;
  if (/^(false|0|no|off)$/i.test(text)) return false;
  throw new Error(`must be true or false, not '${text}'`);
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** In milliseconds; NaN for what is not a duration. */
export function parseDuration(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1_000;
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return NaN;
  let total = 0;
  for (const [, amount, unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    total += Number(amount) * (UNIT_MS[unit] ?? NaN);
  }
  return total;
}

/** NaN for what is not a size. */
export function parseBytes(text: string): number {
  const [, amount, unit = ''] = /^(\d+)\s*([KMG]?)i?B?$/i.exec(text) ?? [];
  return Number(amount) * 1024 ** ['', 'K', 'M', 'G'].indexOf(unit.toUpperCase());
}
