import type { Face } from '../../http/face.ts';
import { sendAck, sendRead } from './schema.ts';
import type { Receipts } from './service.ts';

export function routeReceipts(face: Face, receipts: Receipts): void {
	face.post('/acks', sendAck, receipts.ack);
	face.post('/rooms/:room_id/read', sendRead, receipts.read);
}
