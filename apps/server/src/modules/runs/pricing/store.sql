-- Prices of models. A row counts from `effective_from` on until a newer active one of the same model does.

-- name: savePrices :many
-- In one order, so that two callers do not wait for each other crosswise.
insert into pricing_catalog (provider, model, input_cost_microusd, output_cost_microusd, active, effective_from)
select p.provider, p.model, p.input_cost_microusd, p.output_cost_microusd, coalesce(p.active, true), coalesce(p.effective_from, strait_now())
  from jsonb_to_recordset(:prices_json::jsonb) as p (provider text, model text, input_cost_microusd bigint, output_cost_microusd bigint,
                                               active bool, effective_from timestamptz)
 order by p.provider, p.model, 6
on conflict (provider, model, effective_from) do update
   set input_cost_microusd = excluded.input_cost_microusd, output_cost_microusd = excluded.output_cost_microusd, active = excluded.active
returning id, provider, model, input_cost_microusd, output_cost_microusd, active, effective_from, created_at;

-- name: listPrices :many
-- The newest active price of each model now, or with :history every row; by provider and model.
select p.id, p.provider, p.model, p.input_cost_microusd, p.output_cost_microusd, p.active, p.effective_from, p.created_at
  from pricing_catalog p
 where (:provider?::text is null or p.provider = :provider?) and (:model?::text is null or p.model = :model?)
   and (:history::bool
        or (p.active and p.effective_from <= strait_now()
            and not exists (select from pricing_catalog n where n.provider = p.provider and n.model = p.model and n.active
                               and n.effective_from <= strait_now() and n.effective_from > p.effective_from)))
   and (:before_created_at?::timestamptz is null or (p.created_at, p.id) < (:before_created_at?, :before_id?::text))
 order by p.created_at desc, p.id desc limit :limit::int;
