import type { TenantCaller, TenantReader, UserCaller } from '../../core/caller.ts';
import { type Clock, toTimestamp } from '../../core/clock.ts';
import type { Effect } from '../../core/effect.ts';
import { AppError } from '../../core/errors.ts';
import {
	eventOf,
	type PendingEvent,
	roomStream,
	type Stream,
	userStream,
} from '../../core/event.ts';
import type { RoomId, RoomNo, TenantId, TenantNo, UserId } from '../../core/ids.ts';
import type { InputOf, OutputOf } from '../../core/operation.ts';
import { pageOf } from '../../core/page.ts';
import type { Outcome } from '../../db/change.ts';
import type { Stored } from '../../db/client.ts';
import type { Place } from '../../db/log-heads.ts';
import type { Writer } from '../../db/writer.ts';
import {
	type addMembers,
	type listMembers,
	memberAdded,
	memberRemoved,
	memberUpdated,
	ROLES,
	type Role,
	type removeMember,
	type updateMember,
} from './schema.ts';
import type { Access, FollowedRow, MemberRow, MembersStore } from './store.ts';

export type { Access, FollowedRow, PositionRow } from './store.ts';

export interface MembersTx {
	members: Stored<MembersStore>;
}

/** How many members a room, and how many rooms a user may have; 0: any number. */
export interface MemberLimits {
	roomMembersMax: number;
	userRoomsMax: number;
}

const ROOM_NOT_FOUND = 'Room not found';

/**
 * The room, if the caller may know of it: its members do, and the tenant itself.
 *
 * @throws `NOT_FOUND` for a missing room and for an outsider alike: they must not learn which.
 */
export async function requireAccess(
	tx: MembersTx,
	caller: Pick<TenantReader, 'tenant' | 'user_id'>,
	room_id: RoomId,
): Promise<Access> {
	const access = await tx.members.findAccess(caller.tenant, room_id, caller.user_id);
	const isVisible = access !== undefined && (caller.user_id === null || access.role !== null);
	if (!isVisible) throw new AppError('NOT_FOUND', ROOM_NOT_FOUND);
	return access;
}

/** Each stay of the user in a room in which something may have happened above a cursor, ended ones too. */
export const listFollowed = (
	tx: MembersTx,
	{ tenant, user_id }: UserCaller,
	after: number,
): FollowedRow[] | Promise<FollowedRow[]> => tx.members.listFollowed(tenant, user_id, after);

/** The user's rooms of at most so many members. */
export const listSmallRooms = (
	tx: MembersTx,
	tenant: TenantNo,
	user_id: UserId,
	sizeMax: number,
): { room: RoomNo }[] | Promise<{ room: RoomNo }[]> =>
	tx.members.listSmallRooms(tenant, user_id, sizeMax);

/** A page of a room's members in the order of user ids; nobody once `user_id` has left it. */
export const listFellows = (
	tx: MembersTx,
	of: { tenant: TenantNo; room: RoomNo; user_id: UserId },
	{ after, limit }: { after: string; limit: number },
): UserId[] | Promise<UserId[]> => tx.members.listFellows(of, after, limit);

/** Whether two users are in one room now. */
export const sharesRoom = (
	tx: MembersTx,
	tenant: TenantNo,
	user_id: UserId,
	other: UserId,
): boolean | Promise<boolean> => tx.members.isShared(tenant, user_id, other);

/**
 * Who hears of what a member does live: a small room, else the user's own sockets. `sizeMax` 0: no room
 * is too large.
 */
export const liveStreamOf = (
	access: Access,
	{ user_id, settings }: UserCaller,
	sizeMax: number,
): Stream =>
	settings.live_receipts && (sizeMax === 0 || access.member_count <= sizeMax)
		? roomStream(access)
		: userStream(user_id);

/** The tenant may do all that an owner may. */
const rankOf = (role: Role | null): number => (role === null ? -1 : ROLES.indexOf(role));

const isAbove = (actor: Role | null, other: Role): boolean => rankOf(actor) < rankOf(other);

/**
 * Whether the caller's role in the room is at least `minimum`. The tenant itself always passes.
 *
 * @throws `AUTHORIZATION_ERROR` naming the role that is needed.
 */
export function requireRole(caller: TenantCaller, access: Access, minimum: Role): void {
	if (caller.user_id === null || rankOf(access.role) <= rankOf(minimum)) return;
	throw new AppError('AUTHORIZATION_ERROR', `Needs the role ${minimum} in this room`);
}

/** Opens a new room to its first members. Everything a change needs to know is handed in. */
export async function joinRoom(
	tx: MembersTx,
	limits: MemberLimits,
	room: Pick<Access, 'room' | 'room_id' | 'member_count'>,
	join: {
		tenant: TenantNo;
		tenant_id: TenantId;
		members: readonly { user_id: UserId; role: Role }[];
		joined_at: number;
		cursor: number;
	},
): Promise<{ joined: { user_id: UserId; role: Role }[]; effects: Effect[] }> {
	const { tenant, tenant_id, joined_at, cursor } = join;
	const joined: { user_id: UserId; role: Role }[] = [];
	const effects: Effect[] = [];
	for (const { user_id, role } of join.members) {
		const isNew = await tx.members.insert({
			tenant,
			room: room.room,
			user_id,
			role,
			joined_at,
			cursor,
		});
		if (!isNew) continue;
		joined.push({ user_id, role });
		effects.push({ name: 'member.joined', tenant_id, room_id: room.room_id, user_id });
		await requireRoomsLeft(tx, limits, tenant, user_id);
	}
	if (limits.roomMembersMax > 0 && room.member_count + joined.length > limits.roomMembersMax) {
		throw new AppError('CONFLICT', `A room has at most ${limits.roomMembersMax} members`);
	}
	if (joined.length > 0) await tx.members.updateHead(tenant, room.room, cursor, joined.length);
	return { joined, effects };
}

async function requireRoomsLeft(
	tx: MembersTx,
	{ userRoomsMax }: MemberLimits,
	tenant: TenantNo,
	user_id: UserId,
): Promise<void> {
	if (userRoomsMax === 0 || (await tx.members.countRooms(tenant, user_id)) <= userRoomsMax) return;
	throw new AppError('CONFLICT', `A user is in at most ${userRoomsMax} rooms`);
}

export interface MembersDeps {
	writer: Writer<MembersTx>;
	read: MembersTx;
	clock: Clock;
	limits: MemberLimits;
	/** Deletes the room within the change that emptied it: what it adds to the change's outcome. */
	closeRoom(
		tx: MembersTx,
		caller: TenantCaller,
		access: Access,
		at: { cursor: number; now: number },
	): Promise<{ events: PendingEvent[]; effects: Effect[] }>;
}

/** The use-cases of members. */
export function createMembers({ writer, read, clock, limits, closeRoom }: MembersDeps) {
	/**
	 * Adds several members with one role.
	 *
	 * Idempotent: who is a member already stays as they are, and is not told about.
	 *
	 * @throws `NOT_FOUND` for an unknown room, `AUTHORIZATION_ERROR` for a role too low.
	 * @throws `CONFLICT` for a dm, and beyond the limits of members or rooms.
	 */
	async function add(
		caller: TenantCaller,
		input: InputOf<typeof addMembers>,
	): Promise<OutputOf<typeof addMembers>> {
		const joined_at = clock.now();
		const role = input.role ?? 'member';
		return writer.commit(caller, async (tx, { cursor }) => {
			const access = await requireAccess(tx, caller, input.room_id);
			requireOpenMembership(access);
			requireRole(caller, access, 'moderator');
			requireBelow(caller, access, role);
			const user_ids = [...new Set(input.members)];
			const { joined, effects } = await joinRoom(tx, limits, access, {
				tenant: caller.tenant,
				tenant_id: caller.tenant_id,
				members: user_ids.map((user_id) => ({ user_id, role })),
				joined_at,
				cursor,
			});
			const members = [];
			for (const user_id of user_ids)
				members.push(await requireMember(tx, caller, access, user_id));
			const value = { members: members.map(shown), added: joined.length };
			if (joined.length === 0) return { value };
			const told = joined.map((member) => ({ ...member, joined_at: toTimestamp(joined_at) }));
			const data = { room_id: access.room_id, members: told };
			return { value, effects, events: [eventOf(memberAdded, roomStream(access), data)] };
		});
	}

	/**
	 * Changes a member's role. An owner who names another owner hands the room over.
	 *
	 * @throws `NOT_FOUND` for an unknown room or member, `AUTHORIZATION_ERROR` for a role too low.
	 * @throws `CONFLICT` for a dm.
	 */
	async function update(
		caller: TenantCaller,
		{ room_id, user_id, role }: InputOf<typeof updateMember>,
	): Promise<OutputOf<typeof updateMember>> {
		return writer.commit(caller, async (tx, { cursor }) => {
			const access = await requireAccess(tx, caller, room_id);
			requireOpenMembership(access);
			requireRole(caller, access, 'admin');
			const target = await requireMember(tx, caller, access, user_id);
			const isHandOver = role === 'owner' && access.role === 'owner' && user_id !== caller.user_id;
			requireBelow(caller, access, target.role);
			if (!isHandOver) requireBelow(caller, access, role);
			const changes = [{ user_id, role }];
			if (isHandOver && caller.user_id !== null) {
				changes.push({ user_id: caller.user_id, role: 'admin' });
			}
			const value = shown({ ...target, role });
			if (target.role === role) return { value };
			return { value, events: await setRoles(tx, caller, access, changes, cursor) };
		});
	}

	/**
	 * Removes a member, or lets the caller leave.
	 *
	 * @throws `NOT_FOUND` for an unknown room or member, `AUTHORIZATION_ERROR` for a role too low.
	 * @throws `CONFLICT` for the other one of a dm.
	 */
	async function remove(
		caller: TenantCaller,
		{ room_id, user_id }: InputOf<typeof removeMember>,
	): Promise<OutputOf<typeof removeMember>> {
		const now = clock.now();
		return writer.commit(caller, async (tx, { cursor }) => {
			const access = await requireAccess(tx, caller, room_id);
			const isLeaving = user_id === caller.user_id;
			if (access.type === 'dm' && isLeaving) return hide(tx, caller, access, user_id);
			requireOpenMembership(access);
			if (!isLeaving) requireRole(caller, access, 'moderator');
			const target = await requireMember(tx, caller, access, user_id);
			if (!isLeaving) requireBelow(caller, access, target.role);
			return take(tx, caller, access, target, { cursor, now });
		});
	}

	/** Ends a membership, and what follows from it: an heir for the last owner, or the room's end. */
	async function take(
		tx: MembersTx,
		caller: TenantCaller,
		access: Access,
		{ user_id, role }: MemberRow,
		at: { cursor: number; now: number },
	): Promise<Outcome<OutputOf<typeof removeMember>>> {
		const { tenant, tenant_id } = caller;
		const { room, room_id } = access;
		await tx.members.remove({ tenant, room, user_id, cursor: at.cursor });
		await tx.members.updateHead(tenant, room, at.cursor, -1);
		const effects: Effect[] = [{ name: 'member.left', tenant_id, room_id, user_id }];
		const events: PendingEvent[] = [
			// The room's topic no longer reaches the one who left; its own does.
			eventOf(
				memberRemoved,
				roomStream(access),
				{ room_id, user_id },
				{
					also: [userStream(user_id)],
				},
			),
		];
		const first = await tx.members.findFirst(tenant, room);
		if (first === undefined) {
			const left = { ...access, member_count: access.member_count - 1 };
			const closed = await closeRoom(tx, caller, left, { ...at, cursor: at.cursor + 1 });
			events.push(...closed.events);
			effects.push(...closed.effects);
		} else if (role === 'owner' && first.role !== 'owner') {
			const heir = { user_id: first.user_id, role: 'owner' as const };
			events.push(...(await setRoles(tx, caller, access, [heir], at.cursor + 1)));
		}
		return { value: { success: true }, events, effects };
	}

	return {
		add,
		update,
		remove,

		/** All rooms of a user, with what is unread in each: what a socket follows. */
		roomsOf: async ({ tenant, user_id }: UserCaller) => read.members.listRooms(tenant, user_id),

		/** A page of a room's members in the order of user ids. @throws `NOT_FOUND`. */
		list: async (
			caller: TenantReader,
			input: InputOf<typeof listMembers>,
		): Promise<OutputOf<typeof listMembers>> => {
			const { room } = await requireAccess(read, caller, input.room_id);
			const limit = input.limit ?? 50;
			const rows = await read.members.list(caller.tenant, room, input.cursor ?? '', limit + 1);
			const { items, next_cursor } = pageOf(rows, limit, ({ user_id }) => user_id);
			return { members: items.map(shown), next_cursor };
		},
	};
}

export type Members = ReturnType<typeof createMembers>;

/** Gives members their roles, each with its event. */
async function setRoles(
	tx: MembersTx,
	{ tenant }: TenantCaller,
	access: Access,
	changes: readonly { user_id: UserId; role: Role }[],
	cursor: Place['cursor'],
): Promise<PendingEvent[]> {
	const { room, room_id } = access;
	for (const change of changes) await tx.members.updateRole({ tenant, room, ...change });
	await tx.members.updateHead(tenant, room, cursor + changes.length - 1);
	return changes.map((change) =>
		eventOf(memberUpdated, roomStream(access), { room_id, ...change }),
	);
}

async function hide(
	tx: MembersTx,
	{ tenant }: TenantCaller,
	{ room, last_cursor }: Access,
	user_id: UserId,
): Promise<Outcome<{ success: true }>> {
	await tx.members.updateHidden({ tenant, room, user_id, cursor: last_cursor });
	return { value: { success: true } };
}

function requireOpenMembership({ type }: Access): void {
	if (type === 'dm') throw new AppError('CONFLICT', 'The members of a dm cannot change');
}

function requireBelow(caller: TenantCaller, access: Access, role: Role): void {
	if (caller.user_id === null || isAbove(access.role, role)) return;
	throw new AppError('AUTHORIZATION_ERROR', 'Needs a role in this room above the one concerned');
}

async function requireMember(
	tx: MembersTx,
	{ tenant }: TenantCaller,
	{ room }: Access,
	user_id: UserId,
): Promise<MemberRow> {
	const member = await tx.members.find(tenant, room, user_id);
	if (member === undefined) throw new AppError('NOT_FOUND', 'Member not found');
	return member;
}

const shown = (row: MemberRow) => ({
	user_id: row.user_id,
	role: row.role,
	joined_at: toTimestamp(row.joined_at),
	last_read_seq: row.read_seq,
	last_delivered_seq: row.delivered_seq,
});
