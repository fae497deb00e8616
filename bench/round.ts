// The process that serves one product in one round: it gets its assignment as the first message,
// answers with one, and ends. Started by `runRound` (rounds.ts).
import { openMeter } from './measure.ts';
import type { Product } from './product.ts';
import type { Answer, Assignment } from './rounds.ts';
import { SUITES } from './suites/index.ts';

async function serve(assignment: Assignment): Promise<Answer> {
  const { product: name, place, postmaster, sizes } = assignment;
  const file = new URL(`./products/${name}.ts`, import.meta.url).href;
  const { product } = (await import(file)) as { product: Product };
  if (assignment.suite === undefined) {
    await product.install(place);
    return { cases: {} };
  }
  const suite = SUITES.find((candidate) => candidate.name === assignment.suite);
  if (suite === undefined) throw new Error(`no suite ${assignment.suite}`);
  const meter = await openMeter(place.database_url, postmaster);
  const cases = await suite.run({ product, place, meter, sizes });
  await meter.close();
  return { cases };
}

process.once('message', (assignment: Assignment) => {
  serve(assignment)
    .catch((error: unknown): Answer => ({
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    }))
    .then(
      // A product that keeps a timer must not keep the round: the answer is all we wait for.
      (answer) => process.send?.(answer, undefined, {}, () => process.exit(0)),
      () => process.exit(1),
    );
});
process.on('disconnect', () => process.exit(1));
