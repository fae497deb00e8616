// Generated from store.sql by `npm run generate`. Do not edit.
import { many, type Queryable } from '../../../platform/db/query.ts';

export interface SavePricesParams {
  readonly prices_json: string;
}

export interface SavePricesRow {
  readonly id: string;
  readonly provider: string;
  readonly model: string;
  readonly input_cost_microusd: number;
  readonly output_cost_microusd: number;
  readonly active: boolean;
  readonly effective_from: string;
  readonly created_at: string;
}

const savePricesText = `insert into pricing_catalog (provider, model, input_cost_microusd, output_cost_microusd, active, effective_from)
select p.provider, p.model, p.input_cost_microusd, p.output_cost_microusd, coalesce(p.active, true), coalesce(p.effective_from, strait_now())
  from jsonb_to_recordset($1::jsonb) as p (provider text, model text, input_cost_microusd bigint, output_cost_microusd bigint,
                                               active bool, effective_from timestamptz)
 order by p.provider, p.model, 6
on conflict (provider, model, effective_from) do update
   set input_cost_microusd = excluded.input_cost_microusd, output_cost_microusd = excluded.output_cost_microusd, active = excluded.active
returning id, provider, model, input_cost_microusd, output_cost_microusd, active, effective_from, created_at`;

/** In one order, so that two callers do not wait for each other crosswise. */
export function savePrices(db: Queryable, params: SavePricesParams): Promise<SavePricesRow[]> {
  return many<SavePricesRow>(db, {
    text: savePricesText,
    values: [params.prices_json],
  });
}

export interface ListPricesParams {
  readonly provider: string | null;
  readonly model: string | null;
  readonly history: boolean;
  readonly before_created_at: string | null;
  readonly before_id: string | null;
  readonly limit: number;
}

export interface ListPricesRow {
  readonly id: string;
  readonly provider: string;
  readonly model: string;
  readonly input_cost_microusd: number;
  readonly output_cost_microusd: number;
  readonly active: boolean;
  readonly effective_from: string;
  readonly created_at: string;
}

const listPricesText = `select p.id, p.provider, p.model, p.input_cost_microusd, p.output_cost_microusd, p.active, p.effective_from, p.created_at
  from pricing_catalog p
 where ($1::text is null or p.provider = $1) and ($2::text is null or p.model = $2)
   and ($3::bool
        or (p.active and p.effective_from <= strait_now()
            and not exists (select from pricing_catalog n where n.provider = p.provider and n.model = p.model and n.active
                               and n.effective_from <= strait_now() and n.effective_from > p.effective_from)))
   and ($4::timestamptz is null or (p.created_at, p.id) < ($4, $5::text))
 order by p.created_at desc, p.id desc limit $6::int`;

/** The newest active price of each model now, or with :history every row; by provider and model. */
export function listPrices(db: Queryable, params: ListPricesParams): Promise<ListPricesRow[]> {
  return many<ListPricesRow>(db, {
    text: listPricesText,
    values: [
      params.provider,
      params.model,
      params.history,
      params.before_created_at,
      params.before_id,
      params.limit,
    ],
  });
}
