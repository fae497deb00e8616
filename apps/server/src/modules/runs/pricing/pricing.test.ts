import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { inRunTest, type InRunTest } from '../../../../test/in-run.ts';

let t: InRunTest;
before(async () => (t = await inRunTest()));
after(() => t.close());

const put = (prices: readonly object[], headers = t.app.internal) =>
  t.app.call('PUT', '/v1/pricing', { headers, body: { prices } });
const list = async (query = '') => {
  const { status, body } = await t.call('GET', `/v1/pricing${query}`);
  assert.equal(status, 200, JSON.stringify(body));
  return body.data as {
    model: string;
    input_cost_microusd: number;
    effective_from: string;
    active: boolean;
  }[];
};
const one = { provider: 'acme', model: 'one', input_cost_microusd: 250_000 };

test('prices are per million tokens; the newest active one counts from its instant on', async () => {
  const from = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();
  const later = { ...one, output_cost_microusd: 9, effective_from: from(1) };
  const saved = await put([
    { ...one, output_cost_microusd: 1_000_000 },
    { ...one, input_cost_microusd: 7, output_cost_microusd: 7, effective_from: from(-1) },
    later,
    { ...one, model: 'two', output_cost_microusd: 0 },
  ]);
  assert.equal(saved.status, 200, JSON.stringify(saved.body));
  assert.equal(saved.body.data.length, 4);
  assert.deepEqual(
    (await list('?model=one')).map((price) => price.input_cost_microusd),
    [250_000],
  );
  assert.equal((await list()).length, 2);
  assert.equal((await list('?history=true&model=one')).length, 3);

  const run = await t.running(await t.makeJob());
  const usage = await run.post('usage', { provider: 'acme', model: 'one', prompt_tokens: 2 });
  assert.equal(usage.body.cost_microusd, 1, 'half a millionth, rounded up');

  const corrected = await put([{ ...later, output_cost_microusd: 10, active: false }]);
  assert.equal(corrected.status, 200);
  assert.equal((await list('?history=true&model=one')).length, 3, 'the same instant: corrected');
});

test('pages of the list hold every price once', async () => {
  await put(
    Array.from({ length: 7 }, (_, n) => ({ ...one, model: `m${n}`, output_cost_microusd: n })),
  );
  const seen: string[] = [];
  let cursor = '';
  do {
    const { body } = await t.call('GET', `/v1/pricing?limit=3${cursor && `&cursor=${cursor}`}`);
    seen.push(...body.data.map(({ model }: { model: string }) => model));
    cursor = body.next_cursor ?? '';
  } while (cursor);
  assert.equal(new Set(seen).size, seen.length);
  assert.ok(Array.from({ length: 7 }, (_, n) => `m${n}`).every((model) => seen.includes(model)));
});

test('only whoever runs the installation sets them, and nothing twice', async () => {
  const price = { ...one, output_cost_microusd: 1 };
  const mine = await t.call('PUT', '/v1/pricing', { prices: [price] });
  assert.equal(mine.status, 403);
  const at = '2026-01-01T00:00:00Z';
  const twice = await put([
    { ...price, effective_from: at },
    { ...price, effective_from: '2026-01-01T01:00:00+01:00' },
  ]);
  assert.deepEqual([twice.status, twice.body.details?.[0]?.path], [400, 'body.prices']);
});
