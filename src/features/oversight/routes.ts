import type { Face } from '../../http/face.ts';
import {
	getTenantRoom,
	getTenantUser,
	listAllTenantMessages,
	listTenantMembers,
	listTenantMessages,
	listTenantRooms,
	listTenantUsers,
} from './schema.ts';
import type { Oversight } from './service.ts';

const TENANT = '/admin/tenants/:tenant_id';

export function routeOversight(face: Face, oversight: Oversight): void {
	face.get(`${TENANT}/rooms`, listTenantRooms, oversight.listRooms);
	face.get(`${TENANT}/rooms/:room_id`, getTenantRoom, oversight.getRoom);
	face.get(`${TENANT}/rooms/:room_id/members`, listTenantMembers, oversight.listMembers);
	face.get(`${TENANT}/rooms/:room_id/messages`, listTenantMessages, oversight.listMessages);
	face.get(`${TENANT}/messages`, listAllTenantMessages, oversight.listAllMessages);
	face.get(`${TENANT}/users`, listTenantUsers, oversight.listUsers);
	face.get(`${TENANT}/users/:user_id`, getTenantUser, oversight.getUser);
}
