import { type Frames, onFrame } from '../../ws/frames.ts';
import { getRoom, listRooms } from './schema.ts';
import type { Rooms } from './service.ts';

export const roomFrames = (rooms: Rooms): Frames => [
	onFrame('rooms.list', listRooms, rooms.list),
	onFrame('rooms.get', getRoom, rooms.get),
];
