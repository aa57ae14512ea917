import { type Frames, onFrame } from '../../ws/frames.ts';
import { startTyping, stopTyping } from './schema.ts';
import type { Typing } from './service.ts';

export const typingFrames = (typing: Typing): Frames => [
	onFrame('typing.start', startTyping, typing.start),
	onFrame('typing.stop', stopTyping, typing.stop),
];
