drop table if exists run_delayed, run_parked, run_waiting, run_active, run_queue, lanes, workers;
