do $$
begin
  if exists (select from pg_proc where proname = 'strait_place_slots' and pronamespace = current_schema()::regnamespace) then
    drop function if exists strait_place(text, text, text);
    alter function strait_place_slots(text, text, text) rename to strait_place;
  end if;
end $$;
drop function if exists strait_budgeted(text, text, text);
drop function if exists strait_money(text, text, text, bigint, bigint, bigint);
drop function if exists strait_reserve(text, text);
drop function if exists strait_run_cost(text);
drop function if exists strait_usage_since(timestamptz);
drop function if exists strait_day_start(text, date);
drop function if exists strait_local_day(text);
drop table if exists budget_events, cost_days, cost_reservations, job_budgets;
alter table project_quotas drop column if exists cost_breach_policy;
