import type { Face } from '../../http/face.ts';
import {
	listDeadLetters,
	listNotifications,
	reviewDeadLetters,
	sendNotification,
} from './schema.ts';
import type { Notifications } from './service.ts';

export function routeNotifications(face: Face, notifications: Notifications): void {
	face.post('/notify', sendNotification, notifications.send, 202);
	face.get('/notifications', listNotifications, notifications.list);
	face.get('/dead-letters', listDeadLetters, notifications.listDeadLetters);
	face.get('/admin/dead-letters', reviewDeadLetters, notifications.reviewDeadLetters);
}
