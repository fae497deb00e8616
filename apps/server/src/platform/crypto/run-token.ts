// The bearer token of a run (HS256 JWT). Ours instead of jose because it is on the hot path: one is made per
// dispatch and per trigger, synchronously, in about 4 µs on the build machine; jose goes through promises and
// WebCrypto. Nothing is negotiated: the header is one constant, any other (alg none, RS256, kid) is refused.
import { createHmac, createSecretKey, timingSafeEqual, type KeyObject } from 'node:crypto';

export interface RunTokenClaims {
  readonly run_id: string;
  /** 1-based. */
  readonly attempt: number;
  /** Which claim of the run it was minted for; null in the token that a trigger answers with. */
  readonly claim_seq: number | null;
}

const ISSUER = 'strait';
const HEADER = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString('base64url');
const MAX_TOKEN_LENGTH = 1024;

/** `issued_at_secs` defaults to the process's clock; it is informative, only `expires_at_secs` is checked. */
export function signRunToken(
  claims: RunTokenClaims & { readonly expires_at_secs: number; readonly issued_at_secs?: number },
  key: string,
): string {
  const payload = JSON.stringify({
    iss: ISSUER,
    sub: claims.run_id,
    attempt: claims.attempt,
    claim: claims.claim_seq,
    iat: claims.issued_at_secs ?? Math.floor(Date.now() / 1000),
    exp: claims.expires_at_secs,
  });
  const signed = `${HEADER}.${Buffer.from(payload).toString('base64url')}`;
  return `${signed}.${hmac(signed, key).toString('base64url')}`;
}

/** The claims of a token signed with one of `keys` and not yet expired; undefined for anything else. */
export function verifyRunToken(
  token: string,
  keys: readonly string[],
  now_secs: number,
): RunTokenClaims | undefined {
  if (token.length > MAX_TOKEN_LENGTH || !token.startsWith(`${HEADER}.`)) return undefined;
  const end = token.lastIndexOf('.');
  const payload = token.slice(HEADER.length + 1, end);
  const encoded = token.slice(end + 1);
  const signature = Buffer.from(encoded, 'base64url');
  // One spelling per token: base64 decoding would also accept padding, other alphabets and stray bits.
  if (signature.length !== 32 || signature.toString('base64url') !== encoded) return undefined;

  let trusted = false;
  const signed = token.slice(0, end);
  for (const key of keys) trusted = timingSafeEqual(signature, hmac(signed, key)) || trusted;
  return trusted ? readClaims(payload, now_secs) : undefined;
}

function readClaims(payload: string, now_secs: number): RunTokenClaims | undefined {
  let claims: unknown;
  try {
    claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
  } catch {
    return undefined;
  }
  if (typeof claims !== 'object' || claims === null) return undefined;
  const { iss, sub, attempt, claim, exp } = claims as Record<string, unknown>;
  if (iss !== ISSUER || typeof sub !== 'string' || typeof exp !== 'number' || exp <= now_secs)
    return undefined;
  if (!isCount(attempt) || !(claim === null || isCount(claim))) return undefined;
  return { run_id: sub, attempt, claim_seq: claim };
}

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0;

// Importing a key costs as much as signing. There are one or two keys per process; the bound is for tests.
const importedKeys = new Map<string, KeyObject>();

function hmac(text: string, key: string): Buffer {
  let imported = importedKeys.get(key);
  if (!imported) {
    if (importedKeys.size >= 16) importedKeys.clear();
    imported = createSecretKey(key, 'utf8');
    importedKeys.set(key, imported);
  }
  return createHmac('sha256', imported).update(text).digest();
}
