// Enqueueing: one job per call from 1, 16 and 256 concurrent callers, and 1000 per call.
import type { Figures } from '../measure.ts';
import { BULK, type Suite } from './suite.ts';

const WARM_UP_CALLS = 200;

export const enqueueSingle: Suite = {
  name: 'enqueue-single',
  compares: true,
  repeats: true,
  async run({ product, place, meter, sizes }) {
    const session = await product.open(place, 'enqueue');
    let next = 0;
    const callUntil = async (callers: number, until: () => boolean) => {
      const caller = async () => {
        while (!until()) await session.enqueue(next++);
      };
      await Promise.all(Array.from({ length: callers }, caller));
    };
    await callUntil(16, () => next >= WARM_UP_CALLS);

    const cases: Record<string, Figures> = {};
    for (const callers of [1, 16, 256]) {
      const from = next;
      const watch = await meter.start();
      const deadline = performance.now() + sizes.enqueue_single_ms;
      await callUntil(callers, () => performance.now() >= deadline);
      cases[`enqueue ${callers} caller${callers > 1 ? 's' : ''}`] = await watch.stop(next - from);
    }
    await session.close();
    return cases;
  },
};

export const enqueueBulk: Suite = {
  name: 'enqueue-bulk',
  compares: true,
  repeats: true,
  async run({ product, place, meter, sizes }) {
    const session = await product.open(place, 'enqueue');
    await session.enqueueBulk(0, BULK);
    await session.enqueueBulk(BULK, BULK);
    const watch = await meter.start();
    for (let call = 2; call < sizes.enqueue_bulk_calls + 2; call += 1) {
      await session.enqueueBulk(call * BULK, BULK);
    }
    const figures = await watch.stop(sizes.enqueue_bulk_calls * BULK);
    await session.close();
    return { 'enqueue bulk 1000': figures };
  },
};
