// Who may decide an approval (workflow-semantics §17).
import type { Identity } from '../../access/index.ts';

const EVERYBODY = '*';
const ROLE = 'role:';

/** The entries of a list of approvers that mean this caller, in lower case. */
export function entriesOf({ actor_id, email, role }: Identity): string[] {
  const names = [actor_id, ...(email === undefined ? [] : [email])].map((name) =>
    name.toLowerCase(),
  );
  return [
    EVERYBODY,
    // A name that reads like a role or like everybody means neither.
    ...names.filter((name) => name !== EVERYBODY && !name.startsWith(ROLE)),
    ...(role === undefined ? [] : [`${ROLE}${role.toLowerCase()}`]),
  ];
}

/** A cost gate without approvers asks anybody who may write workflows, which the operation has checked. */
export function mayDecide(
  { kind, approvers }: { readonly kind: string; readonly approvers: readonly string[] },
  entries: readonly string[],
): boolean {
  if (kind === 'cost_gate' && approvers.length === 0) return true;
  return approvers.some((approver) => entries.includes(approver.toLowerCase()));
}

/** Whether `named` is the caller itself. */
export const isSelf = ({ actor_id, email }: Identity, named: string): boolean =>
  [actor_id, email].some((name) => name?.toLowerCase() === named.toLowerCase());
