import type { Face } from '../../http/face.ts';
import {
	createTicket,
	createToken,
	deactivateUser,
	getUser,
	reactivateUser,
	revokeUser,
	updateUser,
} from './schema.ts';
import type { Users } from './service.ts';

export function routeUsers(face: Face, users: Users): void {
	face.get('/users/:user_id', getUser, users.get);
	face.put('/users/:user_id', updateUser, users.update);
	face.post('/users/:user_id/deactivate', deactivateUser, users.deactivate);
	face.post('/users/:user_id/reactivate', reactivateUser, users.reactivate);
	face.post('/users/:user_id/revoke', revokeUser, users.revoke);
	face.post('/users/:user_id/tokens', createToken, users.createToken, 201);
	face.post('/ws/token', createTicket, users.createTicket);
}
