// Suites through the API and the command.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { testApp, type TestApp, type TestProject } from '../../../../test/app.ts';

let app: TestApp;
let project: TestProject;
let home = '';
before(async () => {
  app = await testApp({ start: true });
  project = await app.project();
  home = mkdtempSync(path.join(tmpdir(), 'strait-suite-'));
  await call('/v1/jobs', { name: 'a', slug: 'a', endpoint_url: 'http://127.0.0.1:9/a' });
  const steps = [
    { step_ref: 'charge', job_slug: 'a' },
    { step_ref: 'ship', job_slug: 'a', depends_on: ['charge'] },
  ];
  const made = await call('/v1/workflows', { name: 'order', slug: 'order', steps });
  assert.equal(made.status, 201);
});
after(async () => {
  await app.close();
  rmSync(home, { recursive: true });
});

const call = (url: string, body: object) => app.call('POST', url, { key: project.api_key, body });
const run = (tests: unknown) => call('/v1/workflows/test-suites/run', { tests } as object);

const SUITE = `
tests:
  - name: ships what is paid
    workflow: order
    payload: {order: 7}
    mocks:
      charge: {response: {paid: true}, latency_ms: 200}
    assertions:
      - {step: charge, output_contains: {paid: true}}
      - {workflow_status: completed, duration_under: 1s}
  - name: keeps <what> is not
    workflow: order
    mocks: {charge: {status_code: 402}}
    assertions:
      - {step: ship, status: skipped}
`;

const SCRIPT = path.resolve(import.meta.dirname, '../../../../../../scripts/workflow-test/main.ts');
/** With the server's address in the environment. */
async function command(content: string, ...args: string[]) {
  const file = path.join(home, 'suite.yaml');
  writeFileSync(file, content);
  const address = app.composition.http.url;
  const child = spawn(process.execPath, [SCRIPT, file, ...args], {
    env: { PATH: process.env['PATH'], STRAIT_URL: address, STRAIT_API_KEY: project.api_key },
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (text) => (out += String(text)));
  child.stderr.on('data', (text) => (err += String(text)));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, out, err };
}

describe('suites of workflow tests', () => {
  it('are refused by field before anything is run', async () => {
    const test = { name: 'a', workflow: 'order', assertions: [{ workflow_status: 'completed' }] };
    const wrong: [object, RegExp][] = [
      [{ ...test, name: '' }, /body\.tests\[0\]\.name/],
      [{ ...test, assertions: [] }, /body\.tests\[0\]\.assertions/],
      [{ ...test, assertions: [{ duration_under: '1s' }] }, /assertions\[0\]/],
      [{ ...test, assertions: [{ step: 'a', duration_under: 'soon' }] }, /duration_under/],
      [{ ...test, assertions: [{ workflow_status: 'failed', output_contains: 1 }] }, /\.step/],
      [{ ...test, mocks: { a: { code: 1 } } }, /mocks/],
    ];
    for (const [one, where] of wrong) {
      const refused = await run([one]);
      assert.equal(refused.status, 400, JSON.stringify(refused.body));
      assert.match(JSON.stringify(refused.body), where);
    }
    const { body } = await run([{ ...test, workflow: 'nobody' }, test]);
    assert.deepEqual([body.passed, body.total, body.failed], [false, 2, 1]);
    const stranger = (await app.project()).api_key;
    const foreign = await app.call('POST', '/v1/workflows/test-suites/run', {
      key: stranger,
      body: { tests: [test] },
    });
    assert.deepEqual(foreign.body.results[0].failures, ['there is no workflow "order"']);
    assert.deepEqual(await app.sql('select from workflow_runs'), []);
  });

  it('the command tells all passed, some failed and invalid apart', async () => {
    const all = await command(SUITE);
    assert.equal(all.code, 1, all.err);
    assert.match(all.out, /^ok {3}ships what is paid \(200 ms\)/m);
    assert.match(all.out, /^FAIL keeps <what> is not[^]*step ship is canceled, not skipped/m);
    assert.match(all.out, /1 of 2 passed/);
    const some = await command(SUITE, '--filter', 'ships', '--format', 'json');
    assert.deepEqual([some.code, JSON.parse(some.out).passed], [0, true]);
    const junit = await command(SUITE, '--format', 'junit');
    assert.equal(junit.code, 1);
    assert.match(junit.out, /<testsuite name="[^"]*suite\.yaml" tests="2" failures="1"/);
    assert.match(junit.out, /name="keeps &lt;what&gt; is not"[^]*<failure message="step ship/);
  });

  it('the command exits with 2 when nothing can be tested', async () => {
    for (const [content, ...args] of [
      ['tests: ['],
      ['tests: []'],
      ['{"tests": [{"name": "a"}]}'],
      ['tests: [{}]\nmore: 1'],
      [SUITE, '--format', 'xml'],
      [SUITE, '--filter', 'nothing like it'],
      [SUITE, '--api-key', 'nonsense'],
      [SUITE, '--url', 'http://127.0.0.1:1'],
    ] as [string, ...string[]][]) {
      const { code, out, err } = await command(content, ...args);
      assert.deepEqual([code, out], [2, ''], `${content} ${args}: ${err}`);
      assert.notEqual(err, '');
    }
  });
});
