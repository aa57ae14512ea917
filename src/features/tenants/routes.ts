import type { Face } from '../../http/face.ts';
import {
	createTenant,
	deleteTenant,
	getSettings,
	getTenant,
	listTenants,
	mergeTenant,
	restoreTenant,
	resumeTenant,
	suspendTenant,
	updateSettings,
	updateTenant,
} from './schema.ts';
import type { OwnSettings } from './service/own-settings.ts';
import type { Tenants } from './service.ts';

export function routeTenants(face: Face, tenants: Tenants, settings: OwnSettings): void {
	const one = '/admin/tenants/:tenant_id';
	face.post('/admin/tenants', createTenant, tenants.create, 201);
	face.get('/admin/tenants', listTenants, tenants.list);
	face.get(one, getTenant, tenants.get);
	face.patch(one, updateTenant, tenants.update);
	face.put(one, mergeTenant, tenants.update);
	face.post(`${one}/suspend`, suspendTenant, tenants.suspend);
	face.post(`${one}/resume`, resumeTenant, tenants.resume);
	face.delete(one, deleteTenant, tenants.remove, {
		statuses: [202, 200],
		of: ({ status }) => (status === 'purged' ? 200 : 202),
	});
	face.post(`${one}/restore`, restoreTenant, tenants.restore);
	face.get('/settings', getSettings, settings.get);
	face.patch('/settings', updateSettings, settings.update);
}
