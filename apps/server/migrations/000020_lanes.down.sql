drop function if exists strait_place(text, text, text);
drop function if exists strait_lane(text, text, text);
alter table lanes drop column if exists used_at;
