drop table if exists debounce_pending, batch_buffer;
