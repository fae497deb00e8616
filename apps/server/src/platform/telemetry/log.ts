// Logging: JSON lines for machines, one readable line per event for people at a terminal. Secrets are masked.
import { Writable } from 'node:stream';
import { pino, stdSerializers, type Logger } from 'pino';

export type { Logger };

export interface LogOptions {
  readonly level: string;
  /** `text` for people. */
  readonly format: 'json' | 'text';
  /** Default: standard output, written synchronously so that nothing is lost when the process ends. */
  readonly destination?: { write(line: string): unknown };
}

const MASK = '[redacted]';

// Names under which secrets travel here, wherever they are nested.
const SECRET_NAME =
  /^(authorization|cookie|set-cookie|password|token|secret|x-internal-secret|x-run-token|x-secret-.*|.*_(secret|token|password)|.*_?(api|signing|encryption|raw)_key|api-?key|database_url|.*_hash)$/i;
const CHILD_SECRETS = [
  'authorization',
  'cookie',
  'password',
  'token',
  'secret',
  'internal_secret',
  'jwt_signing_key',
  'encryption_key',
  'api_key',
  'raw_key',
  'run_token',
  'database_url',
  'headers.authorization',
  'headers["x-internal-secret"]',
];
// `postgres://user:password@`, `?token=…` and our own credentials inside texts such as error messages.
const SECRET_TEXT: readonly [RegExp, string][] = [
  [/(\w+:\/\/)[^/\s:@]*:[^/\s@]*@/g, `$1${MASK}@`],
  [/([?&](?:token|key|secret|password|signature|access_token)=)[^&\s"']+/gi, `$1${MASK}`],
  [/\b(strait_[0-9a-f]{8})[0-9a-f]{20,}/g, `$1${MASK}`],
  [/\bwhsec_[0-9a-f]{20,}/g, `whsec_${MASK}`],
  [/\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}/g, MASK],
];
const MAX_DEPTH = 6;

export function createLog({ level, format, destination }: LogOptions): Logger {
  const target = destination ?? pino.destination({ dest: 1, sync: true });
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      // What a child logger is given at its making passes by the hook below; nothing but names can be matched there.
      redact: { paths: CHILD_SECRETS, censor: MASK },
      serializers: { err: (masked: unknown) => masked },
      hooks: {
        // Before anything of pino's: it would take the message of an error over as it is.
        logMethod(args, method) {
          const parts: unknown[] = [...args];
          const [first] = parts;
          if (first instanceof Error)
            parts.splice(0, 1, { err: first }, ...(parts.length > 1 ? [] : [first.message]));
          method.apply(this, parts.map((part) => mask(part)) as Parameters<typeof method>);
        },
      },
    },
    format === 'json' ? target : asText(target),
  );
}

/** A copy without secrets. Cycles and deep trees are cut. */
export function mask(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return maskText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth > MAX_DEPTH) return '[deep]';
  if (Array.isArray(value)) return value.map((item) => mask(item, depth + 1));
  if (value instanceof Error || value instanceof Date || Buffer.isBuffer(value)) {
    return value instanceof Error ? mask(stdSerializers.err(value), depth + 1) : value;
  }
  const copy: Record<string, unknown> = {};
  for (const [name, part] of Object.entries(value)) {
    const hide =
      SECRET_NAME.test(name) && part !== null && part !== undefined && typeof part !== 'boolean';
    copy[name] = hide ? MASK : mask(part, depth + 1);
  }
  return copy;
}

export function maskText(text: string): string {
  let masked = text;
  for (const [pattern, replacement] of SECRET_TEXT) masked = masked.replace(pattern, replacement);
  return masked;
}

/** `12:00:00.123 WARN loop failed  loop=reaper consecutive=3` */
function asText(target: { write(line: string): unknown }): Writable {
  return new Writable({
    decodeStrings: false,
    write(line: string, _, done) {
      target.write(`${renderLine(line)}\n`);
      done();
    },
  });
}

function renderLine(line: string): string {
  const {
    time,
    level,
    msg = '',
    err,
    error,
    ...fields
  } = JSON.parse(line) as Record<string, unknown>;
  const details = Object.entries(fields).map(([name, value]) => `${name}=${show(value)}`);
  const failure = (err ?? error) as { readonly stack?: string } | string | undefined;
  const trace = typeof failure === 'object' ? failure.stack : failure;
  const head = `${String(time).slice(11, 23)} ${String(level).toUpperCase().padEnd(5)} ${String(msg)}`;
  return [[head, ...details].join(' '), ...(trace === undefined ? [] : [trace])].join('\n');
}

const show = (value: unknown) =>
  typeof value === 'string' && /^\S+$/.test(value) ? value : JSON.stringify(value);
