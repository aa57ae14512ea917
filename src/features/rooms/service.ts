import type { TenantCaller, TenantReader, UserCaller } from '../../core/caller.ts';
import { type Clock, toTimestamp } from '../../core/clock.ts';
import { encodeCursor } from '../../core/cursor.ts';
import type { Effect } from '../../core/effect.ts';
import { AppError, assert } from '../../core/errors.ts';
import { eventOf, type PendingEvent, roomStream } from '../../core/event.ts';
import type { Ids, RoomId, TenantNo, UserId } from '../../core/ids.ts';
import { fromJsonColumn, toJsonColumn } from '../../core/json.ts';
import { mergePatch } from '../../core/merge-patch.ts';
import type { InputOf, OutputOf } from '../../core/operation.ts';
import { NO_CURSOR, numberBefore, pageOf } from '../../core/page.ts';
import { type Bounds, requireMetadataSize } from '../../core/validation.ts';
import type { Outcome } from '../../db/change.ts';
import type { Stored } from '../../db/client.ts';
import type { LogHead } from '../../db/event-log.ts';
import type { Writer } from '../../db/writer.ts';
import {
	type Access,
	joinRoom,
	type MemberLimits,
	type MembersTx,
	requireAccess,
	requireRole,
} from '../members/service.ts';
import { type MessagesTx, shown as shownMessage } from '../messages/service.ts';
import {
	type createRoom,
	type deleteRoom,
	type getRoom,
	type listRooms,
	roomCreated,
	roomDeleted,
	roomUpdated,
	type updateRoom,
} from './schema.ts';
import type { NewRoom, RoomRow, RoomsStore } from './store.ts';

export interface RoomsTx extends MembersTx, MessagesTx {
	rooms: Stored<RoomsStore>;
}

export interface RoomsDeps {
	writer: Writer<RoomsTx>;
	read: RoomsTx;
	clock: Clock;
	ids: Ids;
	bounds: Bounds;
	limits: MemberLimits;
	/** The published end of the tenant's event log. */
	headOf(tenant: TenantNo): LogHead;
}

type Created = OutputOf<typeof createRoom>;

/** The use-cases of rooms. */
export function createRooms({ writer, read, clock, ids, bounds, limits, headOf }: RoomsDeps) {
	/**
	 * Creates a room; of a pair's dm there is one, and asking again returns it.
	 *
	 * @throws `VALIDATION_ERROR` for a dm without exactly two different users.
	 * @throws `CONFLICT` beyond the limits of members or rooms.
	 */
	async function create(caller: TenantCaller, input: InputOf<typeof createRoom>): Promise<Created> {
		const pair = input.type === 'dm' ? pairOf(input.members ?? []) : undefined;
		const now = clock.now();
		const row: NewRoom = {
			tenant: caller.tenant,
			room_id: ids('room'),
			type: input.type,
			name: input.name ?? null,
			metadata: toJsonColumn(input.metadata),
			user_low: pair?.[0] ?? null,
			user_high: pair?.[1] ?? null,
			created_at: now,
		};
		const members = firstMembers(caller, input, pair);
		return writer.commit(caller, async (tx, { epoch, cursor }) => {
			if (pair !== undefined) {
				const existing = await tx.rooms.findByPair(caller.tenant, ...pair);
				if (existing !== undefined) return reopen(tx, caller, existing, epoch);
			}
			const room = await tx.rooms.insert(row);
			await tx.members.insertHead(caller.tenant, room);
			const { effects } = await joinRoom(
				tx,
				limits,
				{ room, room_id: row.room_id, member_count: 0 },
				{ tenant: caller.tenant, tenant_id: caller.tenant_id, members, joined_at: now, cursor },
			);
			await tx.members.updateHead(caller.tenant, room, cursor);
			const created = await view(tx, caller, row.room_id, epoch);
			return {
				value: created.room,
				effects,
				events: [
					eventOf(roomCreated, roomStream({ room, room_id: row.room_id }), {
						room: created.shared,
					}),
				],
			};
		});
	}

	/** A page of the caller's rooms, most recent activity first. */
	async function list(
		caller: UserCaller,
		input: InputOf<typeof listRooms>,
	): Promise<OutputOf<typeof listRooms>> {
		const { limit = 50 } = input;
		const before = numberBefore(input.cursor);
		const { epoch, last_cursor } = headOf(caller.tenant);
		const rows = await read.rooms.list(caller.tenant, caller.user_id, before, limit + 1);
		const { items, next_cursor } = pageOf(rows, limit, (row) => String(row.last_cursor));
		const rooms = [];
		for (const row of items) rooms.push(await shownTo(read, caller, row, epoch));
		return { rooms, next_cursor, as_of: encodeCursor(epoch, last_cursor) };
	}

	/**
	 * A page of all rooms of the tenant, newest first, as the tenant itself sees them. For the operator.
	 *
	 * @throws `VALIDATION_ERROR` for a cursor of another list.
	 */
	async function listAll(
		tenant: TenantReader,
		{ limit = 50, cursor }: { limit?: number; cursor?: string },
	) {
		const { epoch, last_cursor } = headOf(tenant.tenant);
		const before =
			cursor === undefined
				? Number.MAX_SAFE_INTEGER
				: await read.rooms.findNumber(tenant.tenant, cursor);
		if (before === undefined) {
			throw new AppError('VALIDATION_ERROR', NO_CURSOR, { field: 'cursor' });
		}
		const rows = await read.rooms.listAll(tenant.tenant, before, limit + 1);
		const { items, next_cursor } = pageOf(rows, limit, ({ room_id }) => room_id);
		const rooms = [];
		for (const row of items) rooms.push(await shownTo(read, tenant, row, epoch));
		return { rooms, next_cursor, as_of: encodeCursor(epoch, last_cursor) };
	}

	/** One room. @throws `NOT_FOUND` as `messages.send`. */
	async function get(
		caller: TenantReader,
		{ room_id }: InputOf<typeof getRoom>,
	): Promise<OutputOf<typeof getRoom>> {
		const { epoch } = headOf(caller.tenant);
		await requireAccess(read, caller, room_id);
		return (await view(read, caller, room_id, epoch)).room;
	}

	/**
	 * Merges a patch into a room's name and metadata. A patch that changes nothing tells nobody.
	 *
	 * @throws `NOT_FOUND` as `messages.send`, `AUTHORIZATION_ERROR` below admin.
	 * @throws `PAYLOAD_TOO_LARGE` when the merged metadata is over its limit.
	 */
	async function update(
		caller: TenantCaller,
		{ room_id, ...patch }: InputOf<typeof updateRoom>,
	): Promise<OutputOf<typeof updateRoom>> {
		return writer.commit(caller, async (tx, { epoch, cursor }) => {
			const access = await requireAccess(tx, caller, room_id);
			requireRole(caller, access, 'admin');
			const { room } = access;
			const before = await tx.rooms.find(caller.tenant, room_id, caller.user_id);
			assert(before !== undefined, 'a room that can be accessed is there');
			const name = patch.name === undefined ? before.name : patch.name;
			const metadata = mergedMetadata(before.metadata, patch.metadata);
			if (name === before.name && metadata === before.metadata) {
				return { value: (await view(tx, caller, room_id, epoch)).room };
			}
			await tx.rooms.update({ tenant: caller.tenant, room, name, metadata });
			await tx.members.updateHead(caller.tenant, room, cursor);
			const after = await view(tx, caller, room_id, epoch);
			return {
				value: after.room,
				events: [eventOf(roomUpdated, roomStream(access), { room: after.shared })],
			};
		});
	}

	function mergedMetadata(before: string | null, patch: unknown): string | null {
		if (patch === undefined) return before;
		const merged = mergePatch(fromJsonColumn(before), patch);
		requireMetadataSize(merged, 'metadata', bounds);
		return toJsonColumn(merged);
	}

	/** @throws `NOT_FOUND` as `messages.send`, `AUTHORIZATION_ERROR` below owner. */
	async function remove(
		caller: TenantCaller,
		{ room_id }: InputOf<typeof deleteRoom>,
	): Promise<OutputOf<typeof deleteRoom>> {
		const now = clock.now();
		return writer.commit(caller, async (tx, { cursor }) => {
			const access = await requireAccess(tx, caller, room_id);
			requireRole(caller, access, 'owner');
			const closed = await close(tx, caller, access, { cursor, now });
			return { value: { success: true as const }, ...closed };
		});
	}

	/** Ends a room within a change whose next event gets `cursor`. */
	async function close(
		tx: RoomsTx,
		{ tenant, tenant_id }: TenantCaller,
		access: Access,
		{ cursor, now }: { cursor: number; now: number },
	): Promise<{ events: PendingEvent[]; effects: Effect[] }> {
		const { room, room_id } = access;
		await tx.rooms.remove(tenant, room, now);
		await tx.members.removeAll({ tenant, room, cursor });
		await tx.members.updateHead(tenant, room, cursor, -access.member_count);
		return {
			events: [eventOf(roomDeleted, roomStream(access), { room_id })],
			effects: [{ name: 'room.closed', tenant_id, room_id }],
		};
	}

	return { create, list, listAll, get, update, remove, close };
}

export type Rooms = ReturnType<typeof createRooms>;

/** The two users of a dm in code-unit order. */
function pairOf(members: readonly UserId[]): [UserId, UserId] {
	const [low, high, ...rest] = [...new Set(members)].sort();
	if (low === undefined || high === undefined || rest.length > 0 || members.length !== 2) {
		throw new AppError('VALIDATION_ERROR', 'A dm has exactly two different members', {
			field: 'members',
		});
	}
	return [low, high];
}

function firstMembers(
	caller: TenantCaller,
	{ members = [] }: InputOf<typeof createRoom>,
	pair: readonly UserId[] | undefined,
): { user_id: UserId; role: 'owner' | 'member' }[] {
	const owner = pair === undefined ? caller.user_id : null;
	const others = new Set(pair ?? members);
	if (owner !== null) others.delete(owner);
	return [
		...(owner === null ? [] : [{ user_id: owner, role: 'owner' as const }]),
		...[...others].map((user_id) => ({ user_id, role: 'member' as const })),
	];
}

/** The pair's dm as it is, back in the caller's list if the caller had hidden it. */
async function reopen(
	tx: RoomsTx,
	caller: TenantCaller,
	room_id: RoomId,
	epoch: string,
): Promise<Outcome<Created>> {
	const { room, row } = await view(tx, caller, room_id, epoch);
	if (caller.user_id !== null) {
		await tx.members.updateHidden({
			tenant: caller.tenant,
			room: row.room,
			user_id: caller.user_id,
			cursor: 0,
		});
	}
	return { value: { ...room, duplicate: true } };
}

/** A room that is known to be there, as the caller and as everybody sees it. */
async function view(tx: RoomsTx, caller: TenantReader, room_id: RoomId, epoch: string) {
	const row = await tx.rooms.find(caller.tenant, room_id, caller.user_id);
	assert(row !== undefined, 'a room that can be accessed is there');
	return { row, room: await shownTo(tx, caller, row, epoch), shared: shown(row) };
}

/** A backend may open a dm for two others as a third: such a caller is shown nothing of what is in it. */
async function shownTo(tx: MessagesTx, caller: TenantReader, row: RoomRow, epoch: string) {
	const isMember = row.read_seq !== null && row.read_ordinal !== null;
	const maySeeMessages = isMember || caller.user_id === null;
	const range = { after: row.last_seq - 1, before: row.last_seq + 1 };
	const [last] =
		row.last_seq === 0 || !maySeeMessages
			? []
			: await tx.messages.listFirst(caller.tenant, row.room, range, 1);
	const isHidden =
		caller.settings.history === 'joined' && (last?.cursor ?? 0) <= (row.joined_cursor ?? 0);
	return {
		...shown(row),
		...(last === undefined || isHidden
			? {}
			: { last_message: shownMessage(row.room_id, epoch, last) }),
		...(isMember
			? {
					unread_count: row.last_ordinal - (row.read_ordinal ?? 0),
					last_read_seq: row.read_seq ?? 0,
				}
			: {}),
	};
}

const shown = (row: RoomRow) => ({
	room_id: row.room_id,
	type: row.type,
	unique_key: uniqueKeyOf(row),
	name: row.name,
	metadata: fromJsonColumn(row.metadata),
	last_seq: row.last_seq,
	member_count: row.member_count,
	created_at: toTimestamp(row.created_at),
});

const uniqueKeyOf = ({ user_low, user_high }: RoomRow): string | null =>
	user_low === null || user_high === null
		? null
		: `dm:${user_low.replaceAll(':', '%3A')}:${user_high.replaceAll(':', '%3A')}`;
