import type { Face } from '../../http/face.ts';
import {
	createKey,
	createOwnKey,
	listKeys,
	listOwnKeys,
	revokeKey,
	revokeOwnKey,
	rotateKey,
	rotateOwnKey,
	updateKey,
	updateOwnKey,
} from './schema.ts';
import type { OwnKeys } from './service/own.ts';
import type { Keys } from './service.ts';

export function routeKeys(face: Face, keys: Keys, own: OwnKeys): void {
	const path = '/admin/tenants/:tenant_id/api-keys';
	face.post(path, createKey, keys.create, 201);
	face.get(path, listKeys, keys.list);
	face.patch(`${path}/:key_id`, updateKey, keys.update);
	face.post(`${path}/:key_id/rotate`, rotateKey, keys.rotate);
	face.delete(`${path}/:key_id`, revokeKey, keys.revoke);

	face.post('/api-keys', createOwnKey, own.create, 201);
	face.get('/api-keys', listOwnKeys, own.list);
	face.patch('/api-keys/:key_id', updateOwnKey, own.update);
	face.post('/api-keys/:key_id/rotate', rotateOwnKey, own.rotate);
	face.delete('/api-keys/:key_id', revokeOwnKey, own.revoke);
}
