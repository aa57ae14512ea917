import type { Face } from '../../http/face.ts';
import { listEvents } from './schema.ts';
import type { Events } from './service.ts';

export function routeEvents(face: Face, events: Events): void {
	face.get('/events', listEvents, events.list);
}
