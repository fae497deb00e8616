drop function if exists strait_admit(text[], text[], text[], int[]);
drop function if exists strait_lanes_with_room(bigint[], int[]);
