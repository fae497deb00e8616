import { createHash, timingSafeEqual } from 'node:crypto';

/**
 * Whether two secrets are equal, in a time that tells nothing about where they differ.
 * Hashing first makes the lengths equal, so that the length of the secret does not show either.
 */
export function secretsEqual(given: string, expected: string): boolean {
  return timingSafeEqual(digest(given), digest(expected));
}

/** As `secretsEqual` against each of several; all are compared, so that the time does not tell which one fitted. */
export function matchesAnySecret(given: string, expected: readonly string[]): boolean {
  let matched = false;
  for (const secret of expected) matched = secretsEqual(given, secret) || matched;
  return matched;
}

const digest = (text: string) => createHash('sha256').update(text).digest();
