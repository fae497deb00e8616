// What a developer sees after `npm start`: where it listens, a key, a finished run, and what to try next.

import path from 'node:path';
import type { Composition } from './compose.ts';
import type { Config } from './config.ts';
import { prepareDemo, type Demo } from './demo.ts';
import { knownApiKey, rememberApiKey, writeDevFile } from './home.ts';

export const DEV_PROJECT = 'default';

export interface GreetingInput {
  readonly config: Config;
  readonly home: string;
  readonly composition: Composition;
  readonly database_url: string;
  /** Where the embedded database keeps its files; not always inside the home. */
  readonly data_dir: string;
  /** performance.now() at process start. */
  readonly began: number;
  readonly stopped: () => boolean;
}

export async function greet({
  config,
  home,
  composition,
  database_url,
  data_dir,
  began,
  stopped,
}: GreetingInput): Promise<Demo | undefined> {
  const base_url = composition.http.url;
  const api_key = await developerKey(home, composition, config.secrets.internal[0] ?? '');
  writeDevFile(home, {
    base_url,
    project_id: DEV_PROJECT,
    api_key,
    internal_secret: config.secrets.internal[0] ?? '',
    database_url,
    pid: process.pid,
  });
  const secs = () => ((performance.now() - began) / 1000).toFixed(2);
  console.log(`
  Strait is ready after ${secs()} s

    API        ${base_url}
    Reference  ${base_url}/reference
    Project    ${DEV_PROJECT}
    API key    ${api_key}
`);
  let demo: Demo | undefined;
  if (config.process.demo && config.process.mode === 'all') {
    demo = await prepareDemo({ base_url, api_key });
    try {
      const run = await demo.run();
      console.log(
        `  Sample run ${run.id}: ${run.status} (${secs()} s after start)\n${run.timeline.map((line) => `    ${line}`).join('\n')}\n    result ${JSON.stringify(run.result)}\n`,
      );
    } catch (error) {
      if (!stopped())
        console.error(
          '  The sample run did not finish:',
          error instanceof Error ? error.message : error,
        );
    }
  }
  if (demo) {
    console.log(`  Try it:

    curl -X POST ${base_url}/v1/jobs/hello/trigger -H "Authorization: Bearer ${api_key}" \\
      -H 'Content-Type: application/json' -d '{"payload":{"name":"you"}}'
`);
  }
  if (config.process.mode === 'api') {
    console.log(
      '  This process only answers the API: runs wait until a worker uses the same database.\n',
    );
  }
  const folders = data_dir.startsWith(home + path.sep) ? `${home}/` : `${home}/ and ${data_dir}/`;
  console.log(`  README.md shows the first job of your own. Ctrl-C stops everything; the data stays in
  ${folders}
`);
  return demo;
}

/** Ctrl-C is answered at once, also when work in flight keeps the process up. */
export function farewell({ engine }: Composition, drain_timeout_ms: number): void {
  const runs = engine?.worker.executing() ?? 0;
  const waiting =
    runs > 0
      ? `, waiting up to ${drain_timeout_ms / 1000} s for ${runs} run${runs === 1 ? '' : 's'} in flight (again: hand back and stop now)`
      : '';
  console.log(`  Stopping${waiting} …`);
}

/** The key of the last start while it works, else a new one. */
async function developerKey(
  home: string,
  { http }: Composition,
  internal_secret: string,
): Promise<string> {
  const known = knownApiKey(home);
  if (known !== undefined) {
    const answer = await http.inject({
      method: 'GET',
      url: '/v1/jobs?limit=1',
      headers: { authorization: `Bearer ${known}` },
    });
    if (answer.statusCode === 200) return known;
  }
  const created = await http.inject({
    method: 'POST',
    url: '/v1/api-keys',
    headers: { 'x-internal-secret': internal_secret, 'content-type': 'application/json' },
    payload: JSON.stringify({ project_id: DEV_PROJECT, name: 'development', scopes: ['*'] }),
  });
  if (created.statusCode !== 201) throw new Error(`no API key could be made: ${created.body}`);
  const { key } = created.json() as { key: string };
  rememberApiKey(home, key);
  return key;
}
