import type { ProjectScope } from '../../domain/caller.ts';

/**
 * For code that acts on a row it already holds (loops, a run calling home), never on a project
 * named by a request: those get their scope from the dispatcher.
 */
export function projectScope(project_id: string): ProjectScope {
  return { project_id } as ProjectScope;
}
