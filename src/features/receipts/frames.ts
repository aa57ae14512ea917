import { type Frames, onFrame } from '../../ws/frames.ts';
import { sendAck, sendRead } from './schema.ts';
import type { Receipts } from './service.ts';

export const receiptFrames = (receipts: Receipts): Frames => [
	onFrame('ack', sendAck, receipts.ack),
	onFrame('read', sendRead, receipts.read),
];
