drop view if exists lane_rooms;
