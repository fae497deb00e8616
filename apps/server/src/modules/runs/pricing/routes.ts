import { bind } from '../../access/index.ts';
import { listPrices, putPrices } from './contract.ts';
import type { Pricing } from './service.ts';

export const pricingRoutes = (pricing: Pricing) => [
  bind(listPrices, (_context, { query: { history, ...query } }) =>
    pricing.list({ ...query, history: history === 'true' }),
  ),
  bind(putPrices, (_context, { body }) => pricing.save(body.prices)),
];
