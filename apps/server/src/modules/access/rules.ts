// Pure decisions about keys and scopes.

import { createHash, randomBytes } from 'node:crypto';
import { holds, scopes } from '../../domain/permissions.ts';
import type { Scope } from '../../domain/permissions.ts';

const prefixLength = 12;
const keyPattern = /^strait_[0-9a-f]{64}$/;

export interface NewKey {
  /** Shown once, never stored. */
  readonly key: string;
  readonly key_hash: string;
  readonly key_prefix: string;
}

export function makeKey(): NewKey {
  const key = `strait_${randomBytes(32).toString('hex')}`;
  return { key, key_hash: hashKey(key), key_prefix: key.slice(0, prefixLength) };
}

/** SHA-256 of the whole key, hex. The key is random, so nothing slower is needed. */
export function hashKey(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

export function looksLikeKey(text: string): boolean {
  return keyPattern.test(text);
}

export type ScopeDecision =
  | { readonly scopes: readonly string[] }
  | { readonly refused: 'unknown_scope' | 'scope_not_held'; readonly scope: string };

/** What a new key may do: what was asked for, if its creator may do all of it; by default all the creator may. */
export function scopesToGrant(
  asked: readonly string[] | undefined,
  held: readonly string[],
): ScopeDecision {
  if (asked === undefined || asked.length === 0) return { scopes: inOrder(held) };
  for (const scope of asked) {
    if (!isScope(scope)) return { refused: 'unknown_scope', scope };
    if (!mayGrant(scope, held)) return { refused: 'scope_not_held', scope };
  }
  return { scopes: inOrder(asked) };
}

/** The first of `wanted` that goes beyond `held`. */
export function scopeBeyond(
  wanted: readonly string[],
  held: readonly string[],
): string | undefined {
  return wanted.find((scope) => !isScope(scope) || !mayGrant(scope, held));
}

function mayGrant(scope: Scope, held: readonly string[]): boolean {
  return scope === '*' ? held.includes('*') : holds(held, scope);
}

function isScope(text: string): text is Scope {
  return (scopes as readonly string[]).includes(text);
}

function inOrder(chosen: readonly string[]): string[] {
  return scopes.filter((scope) => chosen.includes(scope));
}

/** The roles every project starts with. They cannot be edited. */
export const systemRoles = [
  { name: 'admin', description: 'Everything', permissions: ['*'] },
  {
    name: 'operator',
    description: 'Runs the project: jobs, runs and workflows',
    permissions: [
      'jobs:read',
      'jobs:write',
      'jobs:trigger',
      'runs:read',
      'runs:write',
      'workflows:read',
      'workflows:write',
      'workflows:trigger',
      'secrets:read',
      'stats:read',
    ],
  },
  {
    name: 'viewer',
    description: 'Sees everything but secrets',
    permissions: ['jobs:read', 'runs:read', 'workflows:read', 'stats:read'],
  },
  {
    name: 'triggerer',
    description: 'Starts jobs and workflows',
    permissions: ['jobs:read', 'jobs:trigger', 'runs:read', 'workflows:read', 'workflows:trigger'],
  },
] as const satisfies readonly {
  readonly name: string;
  readonly description: string;
  readonly permissions: readonly Scope[];
}[];
