// Encryption of what is stored: AES-256-GCM, the record names its key, the context ties it to its place.
// Record: version (1 byte) ‖ key id (4) ‖ nonce (12) ‖ ciphertext ‖ tag (16).
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

/** Where a value belongs. Authenticated, not stored: a record moved to another row or tenant does not open. */
export interface SealContext {
  readonly table: string;
  readonly column: string;
  readonly project_id: string;
  /** What identifies the value inside its project, e.g. `<job id>/<environment>/<key name>`. */
  readonly logical_key: string;
}

export interface Keyring {
  seal(plain: string, context: SealContext): Buffer;
  /** @throws UnsealError when no key opens it in this context. */
  open(sealed: Uint8Array, context: SealContext): string;
  /** Whether the record was written with another key than the one in use now. */
  needsReseal(sealed: Uint8Array): boolean;
}

/** A record that cannot be opened: unknown key, damaged, or moved. Says nothing about the content. */
export class UnsealError extends Error {
  constructor(context: SealContext) {
    super(
      `cannot decrypt ${context.table}.${context.column}: unknown key, damaged record or wrong place`,
    );
    this.name = 'UnsealError';
  }
}

const VERSION = 1;
const KEY_ID_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const PREFIX_BYTES = 1 + KEY_ID_BYTES;

/**
 * The 32 bytes of a key given as 64 hex digits, base64 (either alphabet) or 32 raw bytes.
 * @throws Error that does not repeat the key
 */
export function parseEncryptionKey(text: string): Buffer {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex');
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) {
    const key = Buffer.from(text, 'base64');
    if (key.length === 32) return key;
  }
  const raw = Buffer.from(text);
  if (raw.length === 32) return raw;
  throw new Error('an encryption key is 32 bytes: 64 hex digits, base64, or 32 raw characters');
}

/** Writes with `primary`, reads with `primary` and `old`. */
export function createKeyring(keys: {
  readonly primary: string;
  readonly old?: readonly string[];
}): Keyring {
  const all = [keys.primary, ...(keys.old ?? [])].map(importKey);
  const [primary] = all;
  if (!primary) throw new Error('a keyring needs a key');

  return {
    seal(plain, context) {
      const prefix = Buffer.concat([Buffer.of(VERSION), primary.id]);
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', primary.secret, nonce);
      cipher.setAAD(bind(prefix, context));
      const body = [cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()];
      return Buffer.concat([prefix, nonce, ...body]);
    },
    open(sealed, context) {
      const record = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
      if (record.length < PREFIX_BYTES + NONCE_BYTES + TAG_BYTES || record[0] !== VERSION) {
        throw new UnsealError(context);
      }
      const id = record.subarray(1, PREFIX_BYTES);
      for (const key of all) {
        // Two keys may share an id, so a wrong tag is no reason to stop looking.
        const plain = key.id.equals(id) ? tryOpen(record, key.secret, context) : undefined;
        if (plain !== undefined) return plain;
      }
      throw new UnsealError(context);
    },
    needsReseal: (sealed) =>
      sealed[0] !== VERSION || !primary.id.equals(sealed.subarray(1, PREFIX_BYTES)),
  };
}

function importKey(text: string) {
  const secret = parseEncryptionKey(text);
  const id = createHash('sha256')
    .update('strait key id')
    .update(secret)
    .digest()
    .subarray(0, KEY_ID_BYTES);
  return { secret, id };
}

function tryOpen(record: Buffer, secret: Buffer, context: SealContext): string | undefined {
  const body = PREFIX_BYTES + NONCE_BYTES;
  const decipher = createDecipheriv('aes-256-gcm', secret, record.subarray(PREFIX_BYTES, body), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(bind(record.subarray(0, PREFIX_BYTES), context));
  decipher.setAuthTag(record.subarray(-TAG_BYTES));
  try {
    const plain = decipher.update(record.subarray(body, -TAG_BYTES));
    return Buffer.concat([plain, decipher.final()]).toString('utf8');
  } catch {
    return undefined;
  }
}

// JSON keeps the parts apart: no two contexts are the same bytes.
function bind(prefix: Buffer, { table, column, project_id, logical_key }: SealContext): Buffer {
  return Buffer.concat([
    prefix,
    Buffer.from(JSON.stringify([table, column, project_id, logical_key])),
  ]);
}
