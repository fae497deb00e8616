// The price list. It belongs to the installation, not to a project.

import type { z } from 'zod';
import type { Database } from '../../../platform/db/database.ts';
import { page, type Cursor } from '../../../platform/http/pagination.ts';
import type { putPrices } from './contract.ts';
import * as store from './store.sql.ts';

type Prices = z.output<typeof putPrices.body>['prices'];

export type Pricing = ReturnType<typeof createPricing>;

export function createPricing({ db }: { db: Database }) {
  return {
    save: async (prices: Prices) => ({
      data: await store.savePrices(db, { prices_json: JSON.stringify(prices) }),
    }),

    list: async ({
      provider = null,
      model = null,
      history,
      limit,
      cursor,
    }: {
      readonly provider?: string | null | undefined;
      readonly model?: string | null | undefined;
      readonly history: boolean;
      readonly limit: number;
      readonly cursor?: Cursor | undefined;
    }) =>
      page(
        await store.listPrices(db, {
          provider,
          model,
          history,
          before_created_at: cursor?.created_at ?? null,
          before_id: cursor?.id ?? null,
          limit: limit + 1,
        }),
        limit,
      ),
  };
}
