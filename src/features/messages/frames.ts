import { type Frames, onFrame } from '../../ws/frames.ts';
import { listMessages, sendMessage } from './schema.ts';
import type { Messages } from './service.ts';

export const messageFrames = (messages: Messages): Frames => [
	onFrame('send_message', sendMessage, messages.send),
	onFrame('messages.list', listMessages, messages.list),
];
