// Puts the module together: one object for the dispatcher, the services and the supervisor.

import type { AnyCaller, ProjectScope } from '../../domain/caller.ts';
import type { Database, Tx } from '../../platform/db/database.ts';
import type { AccessControl } from '../../platform/http/access-control.ts';
import type { Service } from '../../platform/services/service.ts';
import { UP } from '../../platform/services/service.ts';
import type { Projects } from '../projects/index.ts';
import { createAccessControl } from './access-control.ts';
import type { AccessControlDeps } from './access-control.ts';
import { createApiKeys } from './api-keys.ts';
import type { ApiKeys, ApiKeysDeps } from './api-keys.ts';
import { createKeyLookup } from './key-lookup.ts';
import { systemRoles } from './rules.ts';
import { createUsageRecorder } from './usage-recorder.ts';
import * as store from './store.sql.ts';

export interface AccessDeps extends Pick<
  AccessControlDeps,
  'internal_secrets' | 'run_token_keys' | 'hitWindow'
> {
  readonly db: Database;
  readonly projects: Pick<Projects, 'exists'>;
  readonly now?: () => number;
  /** Default: no project has any. */
  readonly environmentExists?: ApiKeysDeps['environmentExists'];
}

export interface Access {
  readonly control: AccessControl<AnyCaller, ProjectScope>;
  readonly keys: ApiKeys;
  /** Writes down when keys were used; stop it before the pool. */
  readonly service: Service;
}

export function createAccess({ db, projects, now = Date.now, ...deps }: AccessDeps): Access {
  const usage = createUsageRecorder(db, now);
  const { environmentExists = async () => false } = deps;
  return {
    control: createAccessControl({
      db,
      usage,
      projects,
      now,
      findKey: createKeyLookup(db),
      internal_secrets: deps.internal_secrets.filter((secret) => secret !== ''),
      run_token_keys: deps.run_token_keys,
      hitWindow: deps.hitWindow,
    }),
    keys: createApiKeys({ db, environmentExists }),
    service: {
      name: 'access',
      start: async () => usage.start(),
      stop: () => usage.stop(),
      health: () => UP,
    },
  };
}

/** Reaction to a new project: its four system roles. Repeating it changes nothing. */
export async function seedSystemRoles(tx: Tx, project_id: string): Promise<void> {
  await store.insertSystemRoles(tx, {
    project_id,
    names: systemRoles.map(({ name }) => name),
    descriptions: systemRoles.map(({ description }) => description),
    permissions: systemRoles.map((role) => role.permissions.join(' ')),
  });
}
