import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { defineApi, isReply, reply } from './define-api.ts';
import { streamReply } from './sse.ts';

interface Who {
  readonly id: string;
}
interface Where {
  readonly project_id: string;
}
const { operation, bind } = defineApi<'things:read', 'thing_not_found', Who, Where>();

const Thing = z.object({ id: z.string(), tags: z.array(z.string()) });

const base = {
  method: 'GET',
  path: '/v1/things/:thingID',
  summary: '',
  tags: [],
  failures: [],
} as const;

test('a handler is typed by its operation', async () => {
  const single = operation({
    ...base,
    id: 'getThing',
    permission: 'things:read',
    params: z.object({ thingID: z.string() }),
    query: z.object({ limit: z.coerce.number() }),
    replies: { 200: Thing },
  });
  const bound = bind(single, ({ project, caller }, { params, query, body }) => {
    const nothing: undefined = body;
    assert.equal(nothing, undefined);
    return {
      id: `${params.thingID}/${query.limit.toFixed()}/${project.project_id}/${caller.id}`,
      tags: ['a'] as const,
    };
  });
  assert.deepEqual(
    await bound.handle({ caller: { id: 'me' }, project: { project_id: 'p' } } as never, {
      params: { thingID: 't' },
      query: { limit: 3 },
      headers: undefined,
      body: undefined,
    }),
    { id: 't/3/p/me', tags: ['a'] },
  );
});

test('an operation with several success statuses has to say which', () => {
  const several = operation({
    ...base,
    id: 'several',
    permission: 'authenticated',
    project: 'none',
    body: z.strictObject({ dry_run: z.boolean() }),
    body_required: false,
    replies: { 200: z.object({ kind: z.literal('dry') }), 201: Thing, 204: null },
  });
  bind(several, ({ project }, { body }) => {
    const none: undefined = project;
    if (body?.dry_run) return reply(200, { kind: 'dry' });
    return none === undefined ? reply(201, { id: 'x', tags: [] }) : reply(204, null);
  });
  // @ts-expect-error a bare body says no status
  bind(several, () => ({ id: 'x', tags: [] }));
  // @ts-expect-error not the body of that status
  bind(several, () => reply(200, { kind: 'wet' }));
  assert.equal(isReply(reply(204, null)), true);
  assert.equal(isReply({ status: 204 }), false);
});

test('what an operation needs is checked by the compiler', () => {
  // @ts-expect-error no permission
  operation({ ...base, id: 'x', replies: { 200: Thing } });
  // @ts-expect-error unknown permission
  operation({ ...base, id: 'x', permission: 'things:write', replies: { 200: Thing } });
  // @ts-expect-error unknown failure code
  operation({ ...base, id: 'x', permission: 'public', replies: {}, failures: ['nope'] });
  // @ts-expect-error misspelt member
  operation({ ...base, id: 'x', permission: 'public', replies: {}, bodyRequired: false });
  const stream = operation({
    ...base,
    id: 's',
    permission: 'public',
    replies: { 200: null },
    stream: true,
  });
  bind(stream, ({ caller }) => {
    const maybe: Who | undefined = caller;
    return streamReply(async ({ send }) => send({ data: maybe }));
  });
  const raw = operation({
    ...base,
    id: 'r',
    permission: 'public',
    replies: { 200: z.string() },
    raw: 'text/plain',
  });
  assert.ok(bind(raw, () => 'text'));
  const nothing = operation({ ...base, id: 'n', permission: 'public', replies: { 204: null } });
  assert.ok(bind(nothing, async () => {}));
});
