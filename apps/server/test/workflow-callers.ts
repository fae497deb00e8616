// People with roles in the project of a workflow test, and calls as them.
import type { CallResult } from './app.ts';
import type { workflowApp } from './workflow-runs.ts';

export type CallAs = (
  user: string,
  method: string,
  path: string,
  body?: object,
  email?: string,
  // A test asserts what it reads, as with `call` of the application.
  // oxlint-disable-next-line typescript/no-explicit-any
) => Promise<CallResult<any>>;

/** `members` are roles by user. */
export async function callersOf(
  { app, project: { project_id } }: Awaited<ReturnType<typeof workflowApp>>,
  members: Readonly<Record<string, string>>,
): Promise<CallAs> {
  for (const [user, role] of Object.entries(members))
    await app.sql(
      `insert into project_member_roles (project_id, user_id, role_id)
       select project_id, $2, id from project_roles where project_id = $1 and name = $3`,
      project_id,
      user,
      role,
    );
  return (user, method, path, body, email) =>
    app.call(method, path, {
      headers: {
        ...app.internal,
        'x-project-id': project_id,
        'x-actor-id': user,
        ...(email === undefined ? {} : { 'x-actor-email': email }),
      },
      ...(body === undefined ? {} : { body }),
    });
}
