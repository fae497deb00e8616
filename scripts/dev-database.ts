// A database by hand: node scripts/dev-database.ts <folder> [port]. Prints its URL, stays until Ctrl-C.
import { startLocalPostgres } from '../packages/local-postgres/src/index.ts';

const [home, port] = process.argv.slice(2);
if (!home) {
  console.error('usage: node scripts/dev-database.ts <folder> [port]');
  process.exit(2);
}

const started = performance.now();
const server = await startLocalPostgres({
  home,
  port: port === undefined ? undefined : Number(port),
  log: (line) => console.error(line),
});
console.log(server.url);
console.error(`ready in ${Math.round(performance.now() - started)} ms; admin: ${server.adminUrl}`);
server.onRestart(() => console.error('restarted'));

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => void server.stop().then(() => process.exit(0)));
}
