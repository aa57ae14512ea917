import type { Face } from '../../http/face.ts';
import {
	createManagementKey,
	createPlan,
	deletePlan,
	getPlan,
	listManagementKeys,
	listPlans,
	revokeManagementKey,
	updatePlan,
} from './schema.ts';
import type { ManagementKeys } from './service/management-keys.ts';
import type { Plans } from './service.ts';

export function routePlans(face: Face, plans: Plans, managementKeys: ManagementKeys): void {
	face.post('/admin/plans', createPlan, plans.create, 201);
	face.get('/admin/plans', listPlans, plans.list);
	face.get('/admin/plans/:plan_id', getPlan, plans.get);
	face.patch('/admin/plans/:plan_id', updatePlan, plans.update);
	face.delete('/admin/plans/:plan_id', deletePlan, plans.remove);
	face.post(
		'/admin/plans/:plan_id/management-keys',
		createManagementKey,
		managementKeys.create,
		201,
	);
	face.get('/admin/plans/:plan_id/management-keys', listManagementKeys, managementKeys.list);
	face.delete(
		'/admin/plans/:plan_id/management-keys/:key',
		revokeManagementKey,
		managementKeys.revoke,
	);
}
