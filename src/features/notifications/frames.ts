import { type Frames, onFrame } from '../../ws/frames.ts';
import { listNotifications } from './schema.ts';
import type { Notifications } from './service.ts';

export const notificationFrames = (notifications: Notifications): Frames => [
	onFrame('notifications.list', listNotifications, notifications.list),
];
