import { createdUnlessDuplicate, type Face } from '../../http/face.ts';
import { createSubscription, listSubscriptions, removeSubscription } from './schema.ts';
import type { Subscriptions } from './service.ts';

export function routeSubscriptions(face: Face, subscriptions: Subscriptions): void {
	face.post('/subscriptions', createSubscription, subscriptions.create, createdUnlessDuplicate);
	face.get('/subscriptions', listSubscriptions, subscriptions.list);
	face.delete('/subscriptions/:subscription_id', removeSubscription, subscriptions.remove);
}
