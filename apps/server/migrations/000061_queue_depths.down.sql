drop table if exists queue_depths;
