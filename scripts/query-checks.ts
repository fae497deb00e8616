// What a statement may touch: tenant tables only with `:project_id`, other modules' tables only to
// read, and only in layers below.
import { mayUse } from './layers.ts';
import type { Catalogue } from './query-catalogue.ts';
import type { Description } from './query-describe.ts';
import type { Statement } from './query-file.ts';

/** Complaints about one statement; empty when it is in order. */
export function checkStatement(
  statement: Statement,
  description: Description,
  catalogue: Catalogue,
  owners: ReadonlyMap<string, string>,
  module: string,
): string[] {
  return [
    ...shapeProblems(statement, description),
    ...tenancyProblems(statement, description, catalogue),
    ...ownershipProblems(description, owners, module),
  ];
}

function shapeProblems({ shape }: Statement, { columns }: Description): string[] {
  if (shape === 'count' || columns !== undefined) return [];
  return [`declares :${shape} but returns no rows; say :count or add \`returning\``];
}

function tenancyProblems(
  statement: Statement,
  description: Description,
  catalogue: Catalogue,
): string[] {
  if (statement.acrossProjects !== undefined) return [];
  const escape = 'or say `-- across projects: <reason>`';
  if (description.utility) return [`only queries can be checked for tenancy: write one, ${escape}`];
  const tenant = new Set(
    [...catalogue.tables.values()].filter((table) => table.tenant).map((table) => table.name),
  );
  const touched = description.read.filter((table) => tenant.has(table));
  if (touched.length === 0) return [];
  const parameter = statement.parameters.find(({ name }) => name === 'project_id');
  if (parameter?.nullable)
    return [`touches ${touched.join(', ')}: \`:project_id?\` would open all projects, ${escape}`];
  return parameter ? [] : [`touches ${touched.join(', ')}: needs \`:project_id\`, ${escape}`];
}

function ownershipProblems(
  description: Description,
  owners: ReadonlyMap<string, string>,
  module: string,
): string[] {
  return description.read.flatMap((table) => {
    const owner = owners.get(table);
    if (owner === undefined) return [`${table} has no \`-- owner: <module>\` in the migrations`];
    if (owner === module) return [];
    if (description.written.includes(table))
      return [`writes ${table}, which only ${owner} may write`];
    return mayUse(module, owner)
      ? []
      : [`reads ${table} of ${owner}, which is not below ${module}`];
  });
}
