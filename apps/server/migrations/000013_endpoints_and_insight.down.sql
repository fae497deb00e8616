drop table if exists job_stats_hourly, job_slo_evaluations, job_slos, endpoint_health_scores, endpoint_circuit_state;
