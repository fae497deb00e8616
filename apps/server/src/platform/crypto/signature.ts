// Signatures of what we send: `v1=` + hex HMAC-SHA256(secret, "<unix seconds>.<raw body>").
import { createHmac, timingSafeEqual } from 'node:crypto';

/** Receivers refuse a timestamp further away than this. */
export const SIGNATURE_TOLERANCE_SECS = 300;

export function signBody(secret: string, timestamp_secs: number, body: string | Buffer): string {
  return `v1=${createHmac('sha256', secret).update(`${timestamp_secs}.`).update(body).digest('hex')}`;
}

/** Whether `signature` is ours and fresh. A missing or malformed one is simply not valid. */
export function verifyBody(
  secret: string,
  given: { readonly signature: string; readonly timestamp_secs: number; readonly now_secs: number },
  body: string | Buffer,
): boolean {
  if (!(Math.abs(given.now_secs - given.timestamp_secs) <= SIGNATURE_TOLERANCE_SECS)) return false;
  const expected = Buffer.from(signBody(secret, given.timestamp_secs, body));
  const actual = Buffer.from(given.signature);
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}
