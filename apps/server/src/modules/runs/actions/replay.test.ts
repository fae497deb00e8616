import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { runActions } from '../../../../test/run-actions.ts';

let on: Awaited<ReturnType<typeof runActions>>;

before(async () => {
  on = await runActions();
});
after(() => on.close());

describe('replaying', () => {
  test('makes a new run with the same payload, priority, tags and metadata, but no key', async () => {
    const job = await on.makeJob();
    const original = await on.ended(job, 'failed', {
      payload: { n: 1 },
      priority: 7,
      tags: { a: 'b' },
      metadata: { m: '1' },
      concurrency_key: 'c',
      idempotency_key: 'k',
    });
    const made = await on.post(original, 'replay');
    assert.equal(made.status, 201, JSON.stringify(made.body));
    const {
      id,
      payload,
      priority,
      tags,
      metadata,
      concurrency_key,
      idempotency_key,
      attempt,
      status,
    } = made.body;
    assert.notEqual(id, original);
    assert.deepEqual(
      { payload, priority, tags, metadata, concurrency_key, idempotency_key, attempt, status },
      {
        payload: { n: 1 },
        priority: 7,
        tags: { a: 'b' },
        metadata: { m: '1', replay_of: original },
        concurrency_key: 'c',
        idempotency_key: undefined,
        attempt: 1,
        status: 'queued',
      },
    );
    assert.deepEqual((await on.audits('run.replayed', original))[0]?.details, { new_run_id: id });
  });

  test('starts with the priority the trigger gave, not the one retries made of it', async () => {
    const original = await on.ended(await on.makeJob(), 'failed', { priority: 2 });
    await on.app.sql(
      `update job_runs set priority = 9, metadata = metadata || '{"_priority":"2"}' where id = $1`,
      original,
    );
    assert.equal((await on.post(original, 'replay')).body.priority, 2);
  });

  test('a pinned job repeats the version of the run, others the live one', async () => {
    for (const [version_policy, expected] of [
      ['pin', 1],
      ['latest', 2],
    ] as const) {
      const job = await on.makeJob({ version_policy });
      const original = await on.ended(job, 'failed');
      assert.equal((await on.call('PATCH', `/v1/jobs/${job}`, { description: 'new' })).status, 200);
      assert.equal((await on.post(original, 'replay')).body.job_version, expected);
    }
  });

  test('is refused in states that have nothing to repeat', async () => {
    const job = await on.makeJob();
    const executing = await on.run(job);
    await on.claim(executing);
    for (const [id, message] of [
      [await on.run(job), 'the run is still queued; only finished runs can be replayed'],
      [executing, 'the run is still executing; only finished runs can be replayed'],
      [await on.ended(job, 'completed'), 'the run is completed: it has nothing to repeat'],
      [await on.ended(job, 'dead_letter'), 'the run is dead_letter: dlq-replay queues it again'],
    ] as const) {
      const refused = await on.post(id, 'replay');
      assert.deepEqual(
        [refused.status, refused.body.code, refused.body.error],
        [400, 'run_not_replayable', message],
      );
    }
  });

  test('from a checkpoint starts with its state, in debug mode', async () => {
    const job = await on.makeJob();
    const original = await on.ended(job, 'timed_out');
    await on.app.sql(
      'insert into run_checkpoints (run_id, sequence, state) values ($1, 1, $2)',
      original,
      { step: 4 },
    );
    const made = await on.call('POST', `/v1/runs/${original}/replay?from_checkpoint=1`);
    assert.deepEqual([made.body.payload, made.body.debug_mode], [{ step: 4 }, true]);
    assert.equal(
      (await on.call('POST', `/v1/runs/${original}/replay?from_checkpoint=2`)).body.code,
      'checkpoint_not_found',
    );
  });

  test('in bulk answers for each id and repeats none twice', async () => {
    const job = await on.makeJob();
    const [failed, completed] = [await on.ended(job, 'crashed'), await on.ended(job, 'completed')];
    const { body } = await on.call('POST', '/v1/runs/bulk-replay', {
      run_ids: [failed, completed, failed, 'x'],
    });
    assert.deepEqual(
      body.results.map(({ status }: { status: string }) => status),
      ['replayed', 'skipped', 'skipped', 'failed'],
    );
    assert.deepEqual([body.total, body.replayed], [4, 1]);
    assert.equal((await on.read(body.results[0].new_run_id)).metadata.replay_of, failed);
  });

  test('a dead letter is the same run again, once', async () => {
    const job = await on.makeJob();
    const id = await on.ended(job, 'dead_letter');
    const [first, second] = await Promise.all([
      on.post(id, 'dlq-replay'),
      on.post(id, 'dlq-replay'),
    ]);
    assert.deepEqual([first.status, second.status].toSorted(), [200, 409]);
    const replayed = await on.read(id);
    assert.deepEqual(
      [replayed.status, replayed.attempt, replayed.error, replayed.finished_at],
      ['queued', 1, undefined, undefined],
    );
    assert.equal((await on.audits('run.replayed_deadletter', id)).length, 1);
  });

  test('dead letters in bulk: by id, or the oldest of the project', async () => {
    const job = await on.makeJob();
    const letters = [
      await on.ended(job, 'dead_letter'),
      await on.ended(job, 'dead_letter'),
      await on.ended(job, 'dead_letter'),
    ];
    assert.deepEqual(
      (await on.call('GET', `/v1/runs/dlq?job_id=${job}`)).body.data.map(
        ({ id }: { id: string }) => id,
      ),
      letters.toReversed(),
    );
    for (const [body, message] of [
      [{}, 'body: give run_ids, or project_id or limit for the oldest of the project'],
      [
        { run_ids: letters, project_id: on.project.project_id },
        'body: give run_ids or project_id, not both',
      ],
    ] as const) {
      const refused = await on.call('POST', '/v1/runs/bulk-dlq-replay', body);
      assert.deepEqual([refused.status, refused.body.error], [400, message]);
    }
    const named = await on.call('POST', '/v1/runs/bulk-dlq-replay', { run_ids: [letters[2], 'x'] });
    assert.deepEqual([named.body.count, named.body.replayed[0].id], [1, letters[2]]);
    assert.equal(
      (await on.call('POST', '/v1/runs/bulk-dlq-replay', { run_ids: [letters[2]] })).status,
      409,
    );
    assert.equal(
      (
        await on.call('POST', '/v1/runs/bulk-dlq-replay', {
          project_id: on.project.project_id,
          limit: 1,
        })
      ).body.count,
      1,
    );
    // A key needs no project_id beside the limit.
    const rest = await on.call('POST', '/v1/runs/bulk-dlq-replay', { limit: 50 });
    assert.ok(rest.body.count >= 1, JSON.stringify(rest.body));
    assert.equal((await on.call('GET', '/v1/runs/dlq')).body.data.length, 0);
    assert.equal(
      (await on.call('POST', '/v1/runs/bulk-dlq-replay', { project_id: on.other.project_id }))
        .status,
      403,
    );
  });
});
