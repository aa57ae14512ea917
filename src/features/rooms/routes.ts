import { createdUnlessDuplicate, type Face } from '../../http/face.ts';
import { createRoom, deleteRoom, getRoom, listRooms, updateRoom } from './schema.ts';
import type { Rooms } from './service.ts';

export function routeRooms(face: Face, rooms: Rooms): void {
	face.post('/rooms', createRoom, rooms.create, createdUnlessDuplicate);
	face.get('/rooms', listRooms, rooms.list);
	face.get('/rooms/:room_id', getRoom, rooms.get);
	face.patch('/rooms/:room_id', updateRoom, rooms.update);
	face.delete('/rooms/:room_id', deleteRoom, rooms.remove);
}
