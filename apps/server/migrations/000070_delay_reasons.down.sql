alter table run_delayed drop column if exists reason;
