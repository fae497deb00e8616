// Entry of `npm run bench`. The bench has its own dependencies, which only this command installs,
// so it is reached by URL: nothing under the workspaces may need it to type-check.
const { main } = (await import(new URL('../bench/main.ts', import.meta.url).href)) as {
  main: (args: readonly string[]) => Promise<number>;
};
process.exitCode = await main(process.argv.slice(2));
