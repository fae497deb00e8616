// The platform's API builder, closed over our permissions, failure codes, caller and project scope.

import type { FailureCode } from './failures.ts';
import type { Permission } from './permissions.ts';
import { defineApi } from '../platform/http/define-api.ts';
import type { Caller, ProjectScope, RunCaller } from './caller.ts';

export const { operation, bind } = defineApi<
  Permission,
  FailureCode,
  Caller,
  ProjectScope,
  RunCaller
>();
