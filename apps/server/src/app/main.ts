// Process entry: settings, database, services, signals. `npm start` ends up here.

import path from 'node:path';
import { readProcessConfig, usage, wantsHelp, ConfigError, type Config } from './config.ts';
import { homeSecrets, removeDevFile } from './home.ts';
import { StartRefused } from '../platform/start-refused.ts';
import type { LocalPostgres } from '@strait/local-postgres';

const began = performance.now();

async function main(): Promise<void> {
  if (wantsHelp()) return console.log(usage());
  let config: Config = readProcessConfig();
  const { embedded } = config;
  const home = path.resolve(config.process.home);
  if (embedded) config = readProcessConfig(homeSecrets(home));

  // The database starts while the rest of the program is still being loaded.
  const starting = embedded ? startEmbedded(home) : Promise.resolve(undefined);
  starting.catch(() => {});
  const [{ createLog }, { compose, prepareDatabase }, { createSupervisor }, { farewell, greet }] =
    await Promise.all([
      import('../platform/telemetry/log.ts'),
      import('./compose.ts'),
      import('../platform/services/supervisor.ts'),
      import('./greeting.ts'),
    ]);
  // People read the console of a development server; machines read everything else.
  const log = createLog({
    level: embedded && config.process.log_level === 'info' ? 'warn' : config.process.log_level,
    format: config.process.production ? 'json' : 'text',
  });
  const postgres = await starting;
  const url = postgres?.url ?? config.database.url ?? '';

  const tenantRole = await prepareDatabase(url, log);
  const composition = compose({
    config,
    url,
    log,
    tenantRole,
    version: VERSION,
    check_replies: false,
  });
  const supervisor = createSupervisor({
    services: composition.services,
    on_event: ({ service, step, took_ms, error }) => {
      if (error instanceof StartRefused) return; // reported once, by the end of the start
      if (error !== undefined) log.error({ err: error, service }, `service ${step}`);
      else log.debug({ service, took_ms }, `service ${step}`);
    },
  });

  let stopping: Promise<void> | undefined;
  let demo: { stop(): void } | undefined;
  const stop = (code: number): void => {
    if (stopping) return supervisor.hurry();
    stopping = (async () => {
      if (embedded) removeDevFile(home);
      composition.http.leave();
      if (embedded && code === 0) farewell(composition, config.worker.drain_timeout_ms);
      await supervisor.stop().catch((error: unknown) => log.error({ err: error }, 'stopping'));
      demo?.stop();
      await postgres?.stop();
      process.exit(code);
    })();
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => stop(0));
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'uncaught exception');
    stop(1);
  });
  process.on('unhandledRejection', (error) => {
    log.fatal({ err: error }, 'unhandled rejection');
    stop(1);
  });

  try {
    await supervisor.start();
    if (embedded && config.process.mode !== 'worker') {
      demo = await greet({
        config,
        home,
        composition,
        database_url: url,
        data_dir: postgres?.dataDir ?? '',
        began,
        stopped: () => stopping !== undefined,
      });
    } else {
      log.info(
        {
          url: composition.http.url,
          mode: config.process.mode,
          took_ms: Math.round(performance.now() - began),
        },
        'strait is ready',
      );
    }
  } catch (error) {
    if (stopping) return;
    if (error instanceof StartRefused) console.error(`strait: ${error.message}`);
    else log.fatal({ err: error }, 'strait could not start');
    stop(1);
  }
}

async function startEmbedded(home: string): Promise<LocalPostgres> {
  const { startLocalPostgres } = await import('@strait/local-postgres');
  return startLocalPostgres({
    home: path.join(home, 'postgres'),
    log: (line) => {
      if (/ (?:PANIC|WARNING): /.test(line)) console.error(`postgres: ${line}`);
    },
  });
}

const VERSION = '0.1.0';

main().catch((error: unknown) => {
  // Expected refusals (settings, a folder in use) are for people; anything else shows where it came from.
  const expected =
    error instanceof ConfigError ||
    error instanceof StartRefused ||
    (error instanceof Error && error.name === 'LocalPostgresError');
  console.error(expected ? `strait: ${error.message}` : error);
  process.exit(1);
});
