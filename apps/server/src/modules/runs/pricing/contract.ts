// Prices of models: what usage without a cost of its own is priced by.

import { z } from 'zod';
import { operation } from '../../access/index.ts';
import { pageQuery, pageSchema } from '../../../platform/http/pagination.ts';

const name = z.string().min(1).max(256);
const perMillion = z
  .int()
  .min(0)
  .max(1_000_000_000_000)
  .meta({ description: 'Millionths of a US dollar per million tokens: 2.50 $ are 2500000' });

export const Price = z
  .object({
    id: z.string(),
    provider: z.string(),
    model: z.string(),
    input_cost_microusd: z.int(),
    output_cost_microusd: z.int(),
    active: z.boolean(),
    effective_from: z.iso.datetime(),
    created_at: z.iso.datetime(),
  })
  .meta({ id: 'Price' });

const PriceInput = z
  .strictObject({
    provider: name,
    model: name,
    input_cost_microusd: perMillion,
    output_cost_microusd: perMillion,
    active: z.boolean().optional(),
    effective_from: z.iso
      .datetime({ offset: true })
      .optional()
      .meta({ description: 'Absent: from now on' }),
  })
  .meta({ id: 'PriceInput' });

const tags = ['Pricing'] as const;

export const listPrices = operation({
  id: 'getV1Pricing',
  sdk: 'pricing.list',
  method: 'GET',
  path: '/v1/pricing',
  summary: 'The price of each model now; with `history=true` every price there was or will be',
  tags,
  permission: 'stats:read',
  project: 'none',
  query: z.object({
    ...pageQuery,
    provider: name.optional(),
    model: name.optional(),
    history: z.enum(['true', 'false']).default('false'),
  }),
  replies: { 200: pageSchema('PricePage', Price) },
  failures: [],
});

export const putPrices = operation({
  id: 'putV1Pricing',
  sdk: 'pricing.set',
  method: 'PUT',
  path: '/v1/pricing',
  summary: 'Add prices, or correct those with the same provider, model and instant',
  description: 'Costs already recorded stay as they are.',
  tags,
  permission: 'projects:manage',
  project: 'none',
  body: z
    .strictObject({
      prices: z
        .array(PriceInput)
        .min(1)
        .max(500)
        .refine(
          (prices) =>
            new Set(
              prices.map(({ provider, model, effective_from = '' }) =>
                JSON.stringify([
                  provider,
                  model,
                  effective_from && new Date(effective_from).toISOString(),
                ]),
              ),
            ).size === prices.length,
          'names a provider, model and instant twice',
        ),
    })
    .meta({ id: 'PutPricesRequest' }),
  replies: { 200: z.object({ data: z.array(Price) }) },
  failures: [],
});
