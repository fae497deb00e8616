// Who is calling, what they may do and in which project: API keys, the internal secret, roles, run tokens.
// Promise: no handler runs without its operation's permission, and no ProjectScope exists for a foreign project.

export { bind, operation } from '../../domain/api.ts';
export { apiKeyRoutes } from './routes.ts';
export { createAccess, seedSystemRoles } from './service.ts';
export type { Access, AccessDeps } from './service.ts';
export type { ApiKeys, NewApiKey } from './api-keys.ts';
export { identityOf, type Identity } from './identity.ts';
export { projectScope } from './project-scope.ts';
export type {
  AnyCaller,
  ApiKeyCaller,
  Caller,
  InternalCaller,
  ProjectScope,
  RunCaller,
  UserCaller,
} from '../../domain/caller.ts';
