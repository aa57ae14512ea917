import { type Frames, onFrame } from '../../ws/frames.ts';
import { listMembers } from './schema.ts';
import type { Members } from './service.ts';

export const memberFrames = (members: Members): Frames => [
	onFrame('members.list', listMembers, members.list),
];
