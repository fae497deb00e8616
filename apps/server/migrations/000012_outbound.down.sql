drop table if exists log_drains, webhook_deliveries, webhook_subscriptions;
