// Jobs as the engine reads them, thousands of times a second: triggers the live row, workers the settings
// of one version.
import type { FailureCode } from '../../domain/failures.ts';
import type { Database } from '../../platform/db/database.ts';
import type { Queryable } from '../../platform/db/query.ts';
import { Failure } from '../../platform/failure.ts';
import { createLru } from '../../platform/lru.ts';
import { isUuid } from '../../domain/slug.ts';
import { resolveVersion, type VersionedRun } from './rules.ts';
import type { JobSecrets } from './secrets.ts';
import * as store from './store.sql.ts';
import type { JobConfig, TriggerJob } from './types.ts';

const maxConfigs = 10_000;
const maxLookupsPerStatement = 500;

interface JobKey {
  readonly project_id: string;
  /** Id or slug. */
  readonly ref: string;
}

/** Live jobs by id or slug, in order. For whoever holds a transaction: a second connection could be waited for in a circle. */
export async function findTriggerJobs(
  db: Queryable,
  keys: readonly JobKey[],
): Promise<(TriggerJob | undefined)[]> {
  const rows = await store.findTriggerJobs(db, {
    project_ids: keys.map(({ project_id }) => project_id),
    refs: keys.map(({ ref }) => ref),
  });
  const byPosition = new Map(rows.map(({ ord, ...job }) => [ord, job]));
  return keys.map((_key, index) => byPosition.get(index + 1));
}

/**
 * Live jobs by id or slug, never cached. Look-ups that arrive in the same turn of the event loop share one
 * statement, and those for the same job one answer.
 */
export function createTriggerLookup(db: Database) {
  interface Waiting extends JobKey {
    readonly answer: PromiseWithResolvers<TriggerJob | undefined>;
  }
  let waiting = new Map<string, Waiting>();

  async function ask(batch: readonly Waiting[]): Promise<void> {
    try {
      const jobs = await findTriggerJobs(db, batch);
      for (const [index, { answer }] of batch.entries()) answer.resolve(jobs[index]);
    } catch (error) {
      for (const { answer } of batch) answer.reject(error);
    }
  }

  function flush(): void {
    const all = [...waiting.values()];
    waiting = new Map();
    for (let from = 0; from < all.length; from += maxLookupsPerStatement) {
      void ask(all.slice(from, from + maxLookupsPerStatement));
    }
  }

  return function findForTrigger(
    project_id: string,
    id_or_slug: string,
  ): Promise<TriggerJob | undefined> {
    const ref = isUuid(id_or_slug) ? id_or_slug.toLowerCase() : id_or_slug;
    const key = JSON.stringify([project_id, ref]);
    let entry = waiting.get(key);
    if (!entry) {
      entry = { project_id, ref, answer: Promise.withResolvers() };
      // Requests of one turn are read in its poll phase; immediates run right after it.
      if (waiting.size === 0) setImmediate(flush);
      waiting.set(key, entry);
    }
    return entry.answer.promise;
  };
}

/**
 * Settings of a version, cached: what the three parts of the key say never changes. `live_version` is in the
 * key because the signing secret, and a version that was not kept, come from the live job.
 */
export function createExecutionConfigs(db: Database, secrets: JobSecrets) {
  const configs = createLru<Promise<JobConfig>>(maxConfigs);

  async function load(job_id: string, version: number): Promise<JobConfig> {
    const row = await store.findExecutionConfig(db, { job_id, version });
    if (!row) throw new Failure<FailureCode>('job_not_found');
    const { endpoint_signing_secret_enc, retry_delays_secs, ...settings } = row;
    return Object.freeze({
      ...settings,
      retry_delays_secs: retry_delays_secs ?? [],
      // Opened when something is signed: a secret that does not open must not keep a lost run from being found.
      signing_secret: once(() => secrets.openSigningSecret(endpoint_signing_secret_enc, settings)),
    });
  }

  return function executionConfig(run: VersionedRun): Promise<JobConfig> {
    const { job_id, live_version } = run;
    const version = resolveVersion(run);
    const key = `${job_id}/${version}/${live_version}`;
    const known = configs.get(key);
    if (known) return known;
    const loading = load(job_id, version);
    configs.set(key, loading);
    // Failures are not remembered.
    loading.catch(() => configs.delete(key));
    return loading;
  };
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
