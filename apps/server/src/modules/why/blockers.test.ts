// Every kind of blocker as a user meets it: set up through the API, explained, taken out of the way by the call that the
// answer names (or by time), and the run starts.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { blockerCases } from '../../../test/blocker-cases.ts';
import { inOneHour } from '../../../test/run-actions.ts';
import { inRunTest, type InRunTest } from '../../../test/in-run.ts';
import { blockerKinds, type Blocker } from './rules.ts';

let on: InRunTest;
let the: ReturnType<typeof blockerCases>;

before(async () => {
  on = await inRunTest();
  the = blockerCases(on);
});
after(() => on.close());

describe('why', () => {
  it('says each kind, and the run starts once that is gone', async (test) => {
    for (const one of the.cases)
      await test.test(one.title ?? one.kind, async () => {
        the.asUsual();
        const id = await one.setUp();
        const before = await the.why(id);
        assert.deepEqual(
          before.blockers.map(({ kind }) => kind),
          [one.kind, ...(one.with ?? [])],
        );
        const [blocker] = before.blockers as [Blocker];
        if (one.says) assert.match(blocker.message, one.says);
        if (one.until) assert.ok(Date.parse(blocker.until ?? '') > Date.now(), blocker.until);
        assert.equal(blocker.holders?.length ?? 0, one.holders ?? 0);
        try {
          await (one.away ? one.away() : the.perform(blocker));
          await the.workOn();
          const later = await the.why(id);
          assert.deepEqual(later.blockers, []);
          await on.start(id, one.attempt);
          const started = await the.why(id);
          assert.deepEqual(started, { run_id: id, status: 'executing', blockers: [] });
        } finally {
          await the.cleanUp();
        }
      });
  });

  it('says no_worker while no worker lives', async () => {
    the.asUsual();
    const id = await the.run(await on.makeJob());
    await on.app.sql(`update workers set heartbeat_at = now() - interval '1 h'`);
    const alone = await on.call('GET', `/v1/runs/${id}/why`);
    assert.deepEqual(
      alone.body.blockers.map((blocker: Blocker) => blocker.kind),
      ['no_worker'],
    );
    assert.deepEqual((await the.why(id)).blockers, []);
    await on.start(id);
    assert.equal((await on.call('GET', `/v1/runs/${id.replace('-7', '-8')}/why`)).status, 404);
  });

  it('believes nothing that a handler wrote about its own delay', async () => {
    the.asUsual();
    const job = await on.makeJob();
    const running = await on.running(job);
    const logged = await running.post('log', {
      message: 'held by an operator',
      data: { delayed_by: { kind: 'what?' } },
    });
    assert.ok(logged.status < 300, JSON.stringify(logged.body));
    const started_at = new Date().toISOString();
    const retry = { to: 'queued', attempt: 2, delay_ms: 600_000, error: 'e', started_at };
    const { run_id: id } = running.claim;
    const claim_seq = Number(running.claim.claim_seq);
    const { created_at } = await on.read(id);
    assert.ok((await on.queue.settle([{ id, created_at, claim_seq, ...retry }])).has(id));
    await on.post(id, 'pause');
    // The hold says that there was no reason; what came before it does not count.
    const kinds = async () => (await the.why(id)).blockers.map(({ kind }) => kind);
    assert.deepEqual(await kinds(), ['held', 'retry_backoff']);
    await on.app.sql(
      `insert into run_events (run_id, type, level, message, data) values ($1, 'log', 'info', 'x', '{"delayed_by": {"kind": 1}}')`,
      id,
    );
    assert.deepEqual(await kinds(), ['held', 'retry_backoff']);
    await on.post(id, 'resume');
    assert.deepEqual(await kinds(), ['retry_backoff']);
    await on.call('DELETE', `/v1/runs/${id}`);
  });

  it('says what a run meets after its wait or delay as well', async () => {
    the.asUsual();
    const [upstream, job] = [await on.makeJob(), await on.makeJob()];
    await on.call('POST', `/v1/jobs/${job}/dependencies`, { depends_on_job_id: upstream });
    const waiting = await the.run(job);
    const delayed = await the.run(job, { scheduled_at: inOneHour() });
    const held = await the.run(job, { scheduled_at: inOneHour() });
    await on.post(held, 'pause');
    await on.call('POST', `/v1/jobs/${job}/pause`);
    const kinds = async (id: string) => (await the.why(id)).blockers.map(({ kind }) => kind);
    assert.deepEqual(await kinds(waiting), ['dependency', 'job_paused']);
    assert.deepEqual(await kinds(delayed), ['delayed', 'dependency', 'job_paused']);
    assert.deepEqual(await kinds(held), ['held', 'delayed', 'dependency', 'job_paused']);
    // With each of the calls nothing is left.
    for (const blocker of (await the.why(held)).blockers) await the.perform(blocker);
    await on.call('POST', `/v1/runs/${delayed}/reschedule`, { scheduled_at: new Date() });
    await the.workOn();
    for (const id of [waiting, delayed, held]) {
      assert.deepEqual(await kinds(id), []);
      await on.start(id);
    }
  });

  it('of a child that ended, what it spawned is what is waited for', async () => {
    the.asUsual();
    const job = await on.makeJob();
    const parent = await on.running(job);
    const { body } = await parent.post('spawn', { job_slug: job, await_completion: true });
    const child = await on.start(body.id);
    const spawned: string[] = [];
    for (let n = 0; n < 2; n++)
      spawned.push((await child.post('spawn', { job_slug: job })).body.id);
    await child.post('complete', {});
    const [blocker] = (await the.why(parent.id)).blockers as [Blocker];
    assert.deepEqual([blocker.kind, blocker.holders], ['waiting_child', spawned]);
    await the.perform(blocker);
    await the.workOn();
    assert.deepEqual((await the.why(parent.id)).blockers, []);
    await on.start(parent.id);
  });

  it('names no call where the child belongs to another project', async () => {
    the.asUsual();
    await on.app.call('POST', '/v1/jobs', {
      headers: { ...on.app.internal, 'x-project-id': on.other.project_id },
      body: { name: 'away', slug: 'away', endpoint_url: 'http://127.0.0.1:9/x' },
    });
    const parent = await on.running(await on.makeJob());
    const { project_id, api_key: target_api_key } = on.other;
    const of = { job_slug: 'away', project_id, target_api_key, await_completion: true };
    const { body: child } = await parent.post('spawn', of);
    const [blocker] = (await the.why(parent.id)).blockers as [Blocker];
    assert.deepEqual(
      [blocker.kind, blocker.holders, blocker.unblock],
      ['waiting_child', [child.id], undefined],
    );
    await on.call('DELETE', `/v1/runs/${parent.id}`);
    await on.call('DELETE', `/v1/runs/${child.id}`, undefined, target_api_key);
  });

  it('sees a pause of what is ready, and what is in front of it', async () => {
    the.asUsual();
    const job = await on.makeJob();
    const ids = [await the.run(job), await the.run(job), await the.run(job)];
    const last = ids.at(-1) ?? '';
    assert.equal((await the.why(last)).position, 2);
    await on.call('POST', `/v1/jobs/${job}/pause`);
    assert.equal((await the.why(last)).blockers[0]?.kind, 'job_paused');
    await on.call('POST', `/v1/jobs/${job}/resume`);
    await on.call('POST', '/v1/runs/bulk-cancel', { run_ids: ids });
  });

  it('says how many an endpoint takes at a time, of all its jobs, and who they are, started or not', async () => {
    the.asUsual();
    const endpoint = 'http://127.0.0.1:9/adapts';
    const [job, beside] = [
      await on.makeJob({ endpoint_url: endpoint }),
      await on.makeJob({ endpoint_url: endpoint }),
    ];
    await the.takes(endpoint, 2);
    const started = await the.run(beside);
    await the.workOn();
    await on.start(started);
    const ready = await the.run(job);
    await the.workOn();
    const [next, last] = [await the.run(job), await the.run(beside)];
    const waiting = await the.why(next);
    assert.deepEqual(waiting.blockers, [
      {
        kind: 'endpoint_concurrency',
        message: `endpoint ${endpoint} takes 2 at a time now (adaptive), 2 in flight`,
        holders: [started, ready],
      },
    ]);
    // What the limit is and whether it moves stands there.
    const { body: health } = await on.call('GET', `/v1/jobs/${job}/endpoint-health`);
    assert.equal(health.endpoints[0].admission.max_in_flight, 2);
    assert.equal(health.endpoints[0].admission.state, 'throttled');
    await on.call('DELETE', `/v1/runs/${started}`);
    assert.deepEqual((await the.why(next)).blockers, []);
    const behind = await the.why(last);
    assert.equal(behind.position, 1);
    assert.deepEqual(
      behind.blockers.map(({ message }) => message),
      [
        `endpoint ${endpoint} takes 2 at a time now (adaptive), 1 in flight, and 1 better ranked run waits for the rest`,
      ],
    );
    await the.takes(endpoint, null);
    assert.deepEqual((await the.why(last)).blockers, []);
    await on.call('POST', '/v1/runs/bulk-cancel', { run_ids: [ready, next, last] });
  });

  it('tells what its key is due, and raises the limit of the key where it is set', async () => {
    the.asUsual();
    const job = await on.makeJob({ max_concurrency: 4 });
    const keys = `/v1/jobs/${job}/concurrency-keys`;
    await on.call('PUT', `${keys}/heavy`, { weight: 3 });
    await on.call('PUT', `${keys}/one`, { max_concurrency: 1, weight: 2 });
    // Paused, or what has room would not wait.
    await on.call('POST', `/v1/jobs/${job}/pause`);
    const heavy: string[] = [];
    for (let n = 0; n < 4; n++) heavy.push(await the.run(job, { concurrency_key: 'heavy' }));
    const light: string[] = [];
    for (let n = 0; n < 2; n++) light.push(await the.run(job, { concurrency_key: 'light' }));
    await on.call('POST', `/v1/jobs/${job}/resume`);
    const [first = '', second = ''] = light;
    assert.deepEqual((await the.why(first)).blockers, [], 'ranked behind, but due one of four');
    const behind = await the.why(second);
    assert.deepEqual(
      [behind.position, behind.blockers[0]?.message, behind.blockers[0]?.unblock?.body],
      [
        5,
        'the job: 0 of 4 in flight, and 5 runs of keys that are served first wait for the rest; ' +
          'key light has 0, its share is 1 (min 0, weight 1)',
        { max_concurrency: 6 },
      ],
    );
    for (let n = 0; n < 2; n++)
      light.push(await the.run(job, { concurrency_key: 'one', priority: 9 }));
    const last = light.at(-1) ?? '';
    const [of_key] = (await the.why(last)).blockers as [Blocker];
    assert.equal(
      of_key.message,
      'key one: 0 of 1 in flight, and 1 better ranked run waits for the rest',
    );
    assert.deepEqual(of_key.unblock, {
      method: 'PUT',
      path: `${keys}/one`,
      body: { min_concurrency: 0, max_concurrency: 2, weight: 2 },
    });
    // With the calls of all that is in its way it gets in.
    for (const blocker of (await the.why(last)).blockers) await the.perform(blocker);
    assert.deepEqual((await the.why(last)).blockers, []);
    await the.workOn();
    await on.start(last);
    await on.call('POST', '/v1/runs/bulk-cancel', { run_ids: [...heavy, ...light] });
  });

  it('estimates from how long runs took and how many run at a time', async () => {
    the.asUsual();
    const job = await on.makeJob({ max_concurrency: 2 });
    const lease = await (async () => {
      const id = await the.run(job);
      await the.workOn();
      return on.claim(id);
    })();
    const started_at = new Date(Date.now() - 60_000).toISOString();
    await on.queue.complete([{ ...lease, started_at }]);
    const ids: string[] = [];
    for (let n = 0; n < 6; n++) ids.push(await the.run(job));
    await the.workOn();
    const { position, estimated_start_at, blockers } = await the.why(ids.at(-1) ?? '');
    assert.deepEqual([position, blockers.map(({ kind }) => kind)], [3, ['job_limit']]);
    // Three go first, two at a time: the round that runs, one more, then this one; a minute each.
    const minutes = (Date.parse(estimated_start_at ?? '') - Date.now()) / 60_000;
    assert.ok(minutes > 1.8 && minutes < 2.2, `${minutes} minutes`);
    await on.call('POST', '/v1/runs/bulk-cancel', { run_ids: ids });
  });

  it('has a case here and a line in docs/why.md for every kind', () => {
    const tested = new Set<string>([...the.cases.map(({ kind }) => kind), 'no_worker']);
    // Between two looks of one answer only.
    tested.add('moving');
    assert.deepEqual(
      blockerKinds.filter((kind) => !tested.has(kind)),
      [],
    );
    const text = readFileSync(path.join(import.meta.dirname, '../../../../../docs/why.md'), 'utf8');
    const documented = [...text.matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, kind]) => kind);
    assert.deepEqual(documented, [...blockerKinds]);
  });
});
