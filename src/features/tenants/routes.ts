import type { Face } from '../../http/face.ts';
import { createTenant, getTenant, listTenants } from './schema.ts';
import type { Tenants } from './service.ts';

export function routeTenants(face: Face, tenants: Tenants): void {
	face.post('/admin/tenants', createTenant, tenants.create, 201);
	face.get('/admin/tenants', listTenants, tenants.list);
	face.get('/admin/tenants/:tenant_id', getTenant, tenants.get);
}
