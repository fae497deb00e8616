// Every permission ("scope") there is. Keys hold them directly, users through roles.

export const permissions = [
  '*',
  'jobs:read',
  'jobs:write',
  'jobs:trigger',
  'runs:read',
  'runs:write',
  'workflows:read',
  'workflows:write',
  'workflows:trigger',
  'secrets:read',
  'secrets:write',
  'api-keys:manage',
  'rbac:manage',
  'stats:read',
  'projects:manage',
] as const;

export type Permission = (typeof permissions)[number];

/** Held by the internal secret alone: no key and no role can be given it, `*` does not include it. */
export const internalOnlyPermissions = ['projects:manage'] as const satisfies readonly Permission[];

/** What a key or role may hold, in the order replies list them. */
export type Scope = Exclude<Permission, (typeof internalOnlyPermissions)[number]>;

export const scopes = permissions.filter(
  (permission): permission is Scope =>
    !(internalOnlyPermissions as readonly string[]).includes(permission),
);

/** Whether holding `held` allows `wanted`. An empty list allows nothing. */
export function holds(held: readonly string[], wanted: Permission): boolean {
  if ((internalOnlyPermissions as readonly string[]).includes(wanted)) return false;
  return held.includes('*') || held.includes(wanted);
}
