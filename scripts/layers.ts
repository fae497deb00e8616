// The layer table of docs/architecture.md §2, once, as data. A module may use lower layers and, inside
// its own layer, the modules listed to its left.

export const layers: readonly (readonly string[])[] = [
  ['platform'],
  ['domain'],
  ['audit', 'projects', 'access', 'limits', 'secrets', 'environments'],
  ['jobs', 'queue', 'runs', 'executor'],
  ['relations', 'events', 'in-run', 'workflows', 'deployments', 'batch-operations', 'scheduler'],
  ['webhooks', 'log-drains', 'notifications'],
  ['usage', 'stats', 'slos', 'why'],
  ['app'],
];

/** Module a file of `apps/server/src` belongs to, or undefined for paths elsewhere (relative, `/`). */
export function moduleOf(file: string): string | undefined {
  const match = /^apps\/server\/src\/(?:modules\/([^/]+)|(platform|domain|app))\//.exec(file);
  return match?.[1] ?? match?.[2];
}

export function isKnownModule(module: string): boolean {
  return layers.some((layer) => layer.includes(module));
}

/** Whether `user` may import `used` and read its tables. Unknown modules may use nothing. */
export function mayUse(user: string, used: string): boolean {
  if (user === used) return true;
  const userLayer = layers.findIndex((layer) => layer.includes(user));
  const usedLayer = layers.findIndex((layer) => layer.includes(used));
  if (userLayer < 0 || usedLayer < 0) return false;
  if (userLayer !== usedLayer) return usedLayer < userLayer;
  const layer = layers[userLayer] ?? [];
  return layer.indexOf(used) < layer.indexOf(user);
}
