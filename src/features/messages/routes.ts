import { createdUnlessDuplicate, type Face } from '../../http/face.ts';
import { listAllMessages, listMessages, sendMessage } from './schema.ts';
import type { Messages } from './service.ts';

export function routeMessages(face: Face, messages: Messages): void {
	face.post('/rooms/:room_id/messages', sendMessage, messages.send, createdUnlessDuplicate);
	face.get('/rooms/:room_id/messages', listMessages, messages.list);
	face.get('/messages', listAllMessages, messages.listAll);
}
