import type { Face } from '../../http/face.ts';
import { createKey, listKeys, revokeKey } from './schema.ts';
import type { Keys } from './service.ts';

export function routeKeys(face: Face, keys: Keys): void {
	face.post('/admin/tenants/:tenant_id/api-keys', createKey, keys.create, 201);
	face.get('/admin/tenants/:tenant_id/api-keys', listKeys, keys.list);
	face.delete('/admin/tenants/:tenant_id/api-keys/:key_id', revokeKey, keys.revoke);
}
