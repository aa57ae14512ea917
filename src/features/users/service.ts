import { LRUCache } from 'lru-cache';
import type { OwnCaller, TenantCaller, TenantReader } from '../../core/caller.ts';
import { type Clock, toTimestamp } from '../../core/clock.ts';
import type { Effect } from '../../core/effect.ts';
import { AppError } from '../../core/errors.ts';
import type { TenantNo, UserId } from '../../core/ids.ts';
import { fromJsonColumn, toJsonColumn } from '../../core/json.ts';
import { mergePatch } from '../../core/merge-patch.ts';
import type { InputOf, OutputOf } from '../../core/operation.ts';
import { pageOf } from '../../core/page.ts';
import type { Random } from '../../core/random.ts';
import { type Bounds, requireMetadataSize } from '../../core/validation.ts';
import type { Writer } from '../../db/writer.ts';
import type { deactivateUser, getUser, reactivateUser, revokeUser, updateUser } from './schema.ts';
import { createTokens, type UsersTx } from './service/tokens.ts';
import type { UserRow } from './store.ts';

export interface UsersDeps {
	writer: Writer<UsersTx>;
	read: UsersTx;
	clock: Clock;
	random: Random;
	bounds: Bounds;
	/** How often anything was revoked: deactivating a user counts, and so does its end. */
	revocations(): number;
}

/** The users of a tenant that nobody may act as. */
interface Barred {
	/** How much was revoked when they were read. */
	revocations: number;
	/** Null when they are too many to keep. */
	users: ReadonlySet<UserId> | null;
}

/** Tenants whose barred users are remembered, and how many of each: most have none. */
const BARRED_TENANTS_MAX = 20_000;
const BARRED_USERS_MAX = 1000;

/** The use-cases of users, their tokens and tickets, and what authentication asks of them. */
export function createUsers(deps: UsersDeps) {
	const { writer, read, clock, random, bounds, revocations } = deps;
	const barred = new LRUCache<TenantNo, Barred>({ max: BARRED_TENANTS_MAX });

	/** @throws `VALIDATION_ERROR` for a user, `NOT_FOUND` for one that nothing was told of. */
	async function get(
		caller: Pick<TenantReader, 'tenant'>,
		{ user_id }: InputOf<typeof getUser>,
	): Promise<OutputOf<typeof getUser>> {
		return shown(found(await read.users.find(caller.tenant, user_id)));
	}

	/** A page of all that the tenant told of, in the order of user ids. For the operator. */
	async function list(
		{ tenant }: Pick<TenantReader, 'tenant'>,
		{ limit = 50, cursor = '' }: { limit?: number; cursor?: string },
	) {
		const rows = await read.users.list(tenant, cursor, limit + 1);
		const { items, next_cursor } = pageOf(rows, limit, ({ user_id }) => user_id);
		return { users: items.map(shown), next_cursor };
	}

	/**
	 * Makes a user known, or merges a patch into what is known.
	 *
	 * @throws `VALIDATION_ERROR` for a user.
	 * @throws `PAYLOAD_TOO_LARGE` when the merged metadata is over its limit.
	 */
	async function update(
		caller: OwnCaller,
		{ user_id, name, avatar_url, metadata }: InputOf<typeof updateUser>,
	): Promise<OutputOf<typeof updateUser>> {
		return change(caller, user_id, (before) => ({
			...before,
			name: name === undefined ? before.name : name,
			avatar_url: avatar_url === undefined ? before.avatar_url : avatar_url,
			metadata: mergedMetadata(before.metadata, metadata),
		}));
	}

	function mergedMetadata(before: string | null, patch: unknown): string | null {
		if (patch === undefined) return before;
		const merged = mergePatch(fromJsonColumn(before), patch);
		requireMetadataSize(merged, 'metadata', bounds);
		return toJsonColumn(merged);
	}

	/** Writes what becomes of a user's row, known before or not. What changes nothing is not written. */
	async function change(
		{ tenant, tenant_id, stamp }: TenantCaller,
		user_id: UserId,
		changed: (before: UserRow) => UserRow,
		effectOf?: () => Effect,
	): Promise<OutputOf<typeof updateUser>> {
		const now = clock.now();
		return writer.commit({ tenant, tenant_id, stamp }, async (tx) => {
			const known = await tx.users.find(tenant, user_id);
			const before = known ?? blank(user_id, now);
			const after = changed(before);
			if (known !== undefined && isSame(before, after)) return { value: shown(before) };
			const row = { ...after, updated_at: now };
			await tx.users.upsert(tenant, row);
			const isOff = row.deactivated_at !== null;
			if (isOff) await tx.users.removeTokens(tenant, user_id);
			return {
				value: shown(row),
				...(effectOf === undefined ? {} : { effects: [effectOf()] }),
			};
		});
	}

	/** Ends all acting as a user. Idempotent. @throws `VALIDATION_ERROR` for a user. */
	async function deactivate(
		caller: OwnCaller,
		{ user_id }: InputOf<typeof deactivateUser>,
	): Promise<OutputOf<typeof deactivateUser>> {
		const { tenant_id } = caller;
		const now = clock.now();
		return change(
			caller,
			user_id,
			(before) => ({ ...before, deactivated_at: before.deactivated_at ?? now }),
			() => ({ name: 'user.deactivated', tenant_id, user_id }),
		);
	}

	/**
	 * Takes a deactivation back. Idempotent.
	 *
	 * @throws `VALIDATION_ERROR` for a user, `NOT_FOUND` for one that nothing was told of.
	 */
	async function reactivate(
		caller: OwnCaller,
		{ user_id }: InputOf<typeof reactivateUser>,
	): Promise<OutputOf<typeof reactivateUser>> {
		const { tenant_id } = caller;
		// Rows are never removed: what is there now is there when the change runs.
		found(await read.users.find(caller.tenant, user_id));
		return change(
			caller,
			user_id,
			(before) => ({ ...before, deactivated_at: null }),
			() => ({ name: 'user.reactivated', tenant_id, user_id }),
		);
	}

	/** Voids all tokens and tickets of a user and closes their sockets. @throws `VALIDATION_ERROR` for a user. */
	async function revoke(
		caller: OwnCaller,
		{ user_id }: InputOf<typeof revokeUser>,
	): Promise<OutputOf<typeof revokeUser>> {
		const { tenant, tenant_id } = caller;
		return writer.commit(caller, async (tx) => {
			await tx.users.removeTokens(tenant, user_id);
			return {
				value: { success: true as const },
				effects: [{ name: 'user.revoked', tenant_id, user_id }],
			};
		});
	}

	/**
	 * Whether anybody may act as this user, at least as of the call. Costs nothing per user: whoever is not
	 * among the few that are barred may.
	 */
	async function isActive(tenant: TenantNo, user_id: UserId): Promise<boolean> {
		let known = barred.get(tenant);
		if (known?.revocations !== revocations()) {
			known = { revocations: revocations(), users: await readBarred(tenant) };
			barred.set(tenant, known);
		}
		if (known.users !== null) return !known.users.has(user_id);
		const row = await read.users.find(tenant, user_id);
		return row === undefined || row.deactivated_at === null;
	}

	async function readBarred(tenant: TenantNo): Promise<ReadonlySet<UserId> | null> {
		const users = await read.users.listDeactivated(tenant, BARRED_USERS_MAX + 1);
		return users.length > BARRED_USERS_MAX ? null : new Set(users);
	}

	return {
		get,
		list,
		update,
		deactivate,
		reactivate,
		revoke,
		isActive,
		...createTokens({ writer, read, clock, random }),
	};
}

export type Users = ReturnType<typeof createUsers>;

function found(row: UserRow | undefined): UserRow {
	if (row === undefined) throw new AppError('NOT_FOUND', 'User not found');
	return row;
}

const blank = (user_id: UserId, now: number): UserRow => ({
	user_id,
	name: null,
	avatar_url: null,
	metadata: null,
	created_at: now,
	updated_at: now,
	deactivated_at: null,
});

const isSame = (before: UserRow, after: UserRow): boolean =>
	before.name === after.name &&
	before.avatar_url === after.avatar_url &&
	before.metadata === after.metadata &&
	before.deactivated_at === after.deactivated_at;

const shown = (row: UserRow) => ({
	user_id: row.user_id,
	name: row.name,
	avatar_url: row.avatar_url,
	metadata: fromJsonColumn(row.metadata),
	deactivated_at: row.deactivated_at === null ? null : toTimestamp(row.deactivated_at),
	created_at: toTimestamp(row.created_at),
	updated_at: toTimestamp(row.updated_at),
});
