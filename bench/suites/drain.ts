// Draining a backlog: with a handler that does nothing, and with one HTTP POST per job.
import { drainHttp, drainNoop, enqueueAll, type Suite, warmUp } from './suite.ts';

const drain = (kind: 'noop' | 'http'): Suite => ({
  name: `drain-${kind}`,
  compares: true,
  repeats: true,
  async run(context) {
    const { product, place, meter, sizes } = context;
    const count = kind === 'noop' ? sizes.drain_noop : sizes.drain_http;
    const session = await product.open(place, `drain-${kind}`);
    await warmUp(context, session, kind);
    await meter.checkpoint();
    await enqueueAll(session, count);
    await meter.analyze();
    const figures =
      kind === 'noop'
        ? await drainNoop(context, session, count)
        : await drainHttp(context, session, count);
    await session.close();
    return { [`drain-${kind}`]: figures };
  },
});

export const drainNoopSuite = drain('noop');
export const drainHttpSuite = drain('http');
