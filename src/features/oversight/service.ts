import type { OperatorCaller, TenantReader } from '../../core/caller.ts';
import type { PlanNo, TenantId } from '../../core/ids.ts';
import type { InputOf, OutputOf } from '../../core/operation.ts';
import type { Scope } from '../../db/change.ts';
import type { RecordRead } from '../audit/service/reading.ts';
import type { Members } from '../members/service.ts';
import type { Messages } from '../messages/service.ts';
import type { Rooms } from '../rooms/service.ts';
import type { Users } from '../users/service.ts';
import type {
	getTenantRoom,
	getTenantUser,
	listAllTenantMessages,
	listTenantMembers,
	listTenantMessages,
	listTenantRooms,
	listTenantUsers,
} from './schema.ts';

export interface OversightDeps {
	rooms: Pick<Rooms, 'get' | 'listAll'>;
	members: Pick<Members, 'list'>;
	messages: Pick<Messages, 'list' | 'listAll'>;
	users: Pick<Users, 'get' | 'list'>;
	recordRead: RecordRead;
	/** @throws `NOT_FOUND` for a tenant that does not exist for the caller. */
	tenantOf(caller: OperatorCaller, tenant_id: TenantId): Promise<Scope & { plan: PlanNo | null }>;
}

/**
 * The use-cases in which the operator reads what belongs to a tenant: those of the tenant itself, as the tenant
 * itself, and each with its entry in the audit log. What was not found, or not recorded, is not shown.
 */
export function createOversight(deps: OversightDeps) {
	const { rooms, members, messages, users, recordRead, tenantOf } = deps;

	const recorded = <Op extends { input: unknown; output: unknown }>(
		action: string,
		read: (tenant: TenantReader, asked: Omit<InputOf<Op>, 'tenant_id'>) => Promise<OutputOf<Op>>,
	) =>
		async function readRecorded(
			caller: OperatorCaller,
			{ tenant_id, ...asked }: InputOf<Op> & { tenant_id: TenantId },
		): Promise<OutputOf<Op>> {
			const scope = await tenantOf(caller, tenant_id);
			const { tenant } = scope;
			const itself = { tenant, tenant_id, user_id: null, settings: { history: 'all' as const } };
			const found = await read(itself, asked);
			await recordRead(caller, action, scope, asked);
			return found;
		};

	return {
		listRooms: recorded<typeof listTenantRooms>('tenant_rooms.list', rooms.listAll),
		getRoom: recorded<typeof getTenantRoom>('tenant_rooms.get', rooms.get),
		listMembers: recorded<typeof listTenantMembers>('tenant_members.list', members.list),
		listMessages: recorded<typeof listTenantMessages>('tenant_messages.list', messages.list),
		listAllMessages: recorded<typeof listAllTenantMessages>(
			'tenant_messages.list_all',
			messages.listAll,
		),
		listUsers: recorded<typeof listTenantUsers>('tenant_users.list', users.list),
		getUser: recorded<typeof getTenantUser>('tenant_users.get', users.get),
	};
}

export type Oversight = ReturnType<typeof createOversight>;
