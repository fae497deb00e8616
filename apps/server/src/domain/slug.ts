// Names that stand in paths in place of an id.

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
// They stand in paths, where these characters end or change the segment.
const unfitForPath = /[\s/\\?#%\p{Cc}]/u;

export const isUuid = (text: string) => uuid.test(text);

/** What is wrong with a slug; undefined when it is in order. */
export function slugProblem(slug: string): string | undefined {
  if (slug === '') return 'must not be empty';
  if (isUuid(slug)) return 'must not look like an id (UUID)';
  if (slug === '.' || slug === '..') return 'must not be . or ..';
  return unfitForPath.test(slug)
    ? 'must not contain white space, control characters or any of / \\ ? # %'
    : undefined;
}
