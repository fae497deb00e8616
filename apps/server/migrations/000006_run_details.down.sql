drop table if exists pricing_catalog, run_state, run_outputs, run_tool_calls, run_usage, run_checkpoints;
