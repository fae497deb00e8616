import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog, mask } from './log.ts';
import { createMetrics } from './metrics.ts';

function logged(format: 'json' | 'text', level = 'info') {
  const lines: string[] = [];
  const log = createLog({ level, format, destination: { write: (line) => lines.push(line) } });
  return { log, lines };
}

const CANARY = 'f00dfeedf00dfeedf00dfeedf00dfeed';

test('a log line is JSON with level, time and message', () => {
  const { log, lines } = logged('json');
  log.info({ run_id: 'r1' }, 'claimed');
  log.debug('not shown');
  assert.equal(lines.length, 1);
  const line = JSON.parse(String(lines[0])) as Record<string, unknown>;
  assert.equal(line['level'], 'info');
  assert.equal(line['msg'], 'claimed');
  assert.equal(line['run_id'], 'r1');
  assert.match(String(line['time']), /^\d{4}-\d\d-\d\dT.*Z$/);
});

test('people get one readable line, and the stack of an error below it', () => {
  const { log, lines } = logged('text');
  log.warn({ loop: 'reaper', note: 'two words' }, 'slow');
  assert.match(
    String(lines[0]),
    /^\d\d:\d\d:\d\d\.\d{3} WARN {2}slow loop=reaper note="two words"\n$/,
  );
  log.error({ err: new TypeError('boom') }, 'failed');
  assert.match(String(lines[1]), /ERROR failed\nTypeError: boom\n +at /);
});

test('a secret does not reach the log by name, by text, nested, in an error or through a child', () => {
  const { log, lines } = logged('json', 'trace');
  const cause = new Error(`connect postgres://strait:${CANARY}@db/strait`);
  log.info(
    {
      headers: {
        Authorization: `Bearer ${CANARY}`,
        'X-Secret-API': CANARY,
        'x-run-token': CANARY,
        accept: 'a',
      },
    },
    'request',
  );
  log.info({
    job: { webhook_secret: CANARY, items: [{ token: CANARY }] },
    jwt_signing_key: CANARY,
    key_hash: CANARY,
  });
  log.info(`key strait_${CANARY}${CANARY}`);
  log.info({ url: `https://example.com/hook?a=1&token=${CANARY}` });
  log.error({ err: new Error('failed', { cause }) }, 'database');
  log.error(cause);
  log.child({ password: CANARY }).info('child');
  log.info('with %s', `postgres://u:${CANARY}@h`);
  log.info(
    { token: `eyJhbGciOiJIUzI1NiJ9.eyJ${CANARY}.${CANARY}` },
    `eyJhbGciOiJIUzI1NiJ9.eyJ${CANARY}.${CANARY}`,
  );
  assert.equal(lines.length, 9);
  for (const line of lines) assert.doesNotMatch(line, new RegExp(CANARY), line);
  assert.match(String(lines[0]), /"accept":"a"/);
});

test('masking survives cycles and leaves flags and counts alone', () => {
  const cycle: Record<string, unknown> = { has_secret: true, attempts: 3 };
  cycle['self'] = cycle;
  const copy = mask(cycle) as Record<string, unknown>;
  assert.equal(copy['has_secret'], true);
  assert.equal(copy['attempts'], 3);
  assert.ok(JSON.stringify(copy).includes('[deep]'));
});

test('metrics carry the prefix and their labels, and the process reports itself', async () => {
  const metrics = createMetrics();
  metrics
    .counter({ name: 'runs_total', help: 'Runs', labels: ['status'] })
    .inc({ status: 'completed' }, 2);
  metrics.gauge({ name: 'depth', help: 'Depth', collect: (gauge) => gauge.set(7) });
  metrics.histogram({ name: 'wait_seconds', help: 'Wait' }).observe(0.02);
  const text = await metrics.text();
  assert.match(text, /strait_runs_total\{status="completed"\} 2/);
  assert.match(text, /strait_depth 7/);
  assert.match(text, /strait_wait_seconds_bucket\{le="0.025"\} 1/);
  assert.match(text, /process_cpu_user_seconds_total/);
  assert.throws(() => metrics.counter({ name: 'runs_total', help: 'Runs' }), /already/);
  await createMetrics().text();
});
