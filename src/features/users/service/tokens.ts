import { createSecret, parseSecret } from '../../../core/api-key.ts';
import type { OwnCaller, UserCaller } from '../../../core/caller.ts';
import { type Clock, toTimestamp } from '../../../core/clock.ts';
import { AppError, assert } from '../../../core/errors.ts';
import type { InputOf, OutputOf } from '../../../core/operation.ts';
import { USER_PERMISSIONS } from '../../../core/permissions.ts';
import type { Random } from '../../../core/random.ts';
import type { Stored } from '../../../db/client.ts';
import type { Writer } from '../../../db/writer.ts';
import { type createTicket, type createToken, TICKET_LIFE_S } from '../schema.ts';
import type { UsersStore, UserTokenRow } from '../store.ts';
import { createTickets } from './tickets.ts';

export interface UsersTx {
	users: Stored<UsersStore>;
}

export interface TokensDeps {
	writer: Writer<UsersTx>;
	read: UsersTx;
	clock: Clock;
	random: Random;
}

const TOKEN_LIFE_S = 24 * 60 * 60;
/** Live tokens of a user: one a visit to a page, for a while. */
const TOKENS_MAX = 1000;
/** How many ended ones a new one clears away: more than come, so that they do not gather. */
const ENDED_SLICE = 4;
/** As many as a tenant may have sockets, and a multiple of it for all: some 60 MB. */
const TICKETS_PER_TENANT_MAX = 5_000;
const TICKETS_MAX = 100_000;
/** The use-cases of tokens and tickets, and the look-ups that authentication makes. */
export function createTokens({ writer, read, clock, random }: TokensDeps) {
	const tickets = createTickets({
		clock,
		random,
		lifeMs: TICKET_LIFE_S * 1000,
		perTenantMax: TICKETS_PER_TENANT_MAX,
		perServerMax: TICKETS_MAX,
	});

	/**
	 * Makes a token of a user. The only answer that ever holds it.
	 *
	 * @throws `VALIDATION_ERROR` for a user, `CONFLICT` for a deactivated one, and for one token
	 * too many.
	 */
	async function issueToken(
		caller: OwnCaller,
		{ user_id, expires_in = TOKEN_LIFE_S }: InputOf<typeof createToken>,
	): Promise<OutputOf<typeof createToken>> {
		const { tenant, key_id } = caller;
		const now = clock.now();
		const token = createSecret('ut_', random.bytes);
		const parts = parseSecret('ut_', token);
		assert(parts !== undefined, 'a new token is well-formed');
		// It ends with its key in any case: better told now.
		const expires_at = Math.min(
			now + expires_in * 1000,
			caller.expires_at ?? Number.MAX_SAFE_INTEGER,
		);
		const row: UserTokenRow = { tenant, user_id, key_id, ...parts, created_at: now, expires_at };
		return writer.commit(caller, async (tx) => {
			const user = await tx.users.find(tenant, user_id);
			if (user !== undefined && user.deactivated_at !== null) {
				throw new AppError('CONFLICT', 'This user is deactivated');
			}
			await tx.users.removeEnded(tenant, now, ENDED_SLICE);
			if ((await tx.users.countTokens(tenant, user_id, now)) >= TOKENS_MAX) {
				throw new AppError('CONFLICT', `A user has at most ${TOKENS_MAX} tokens at a time`);
			}
			await tx.users.insertToken(row);
			return { value: { token, user_id, expires_at: toTimestamp(expires_at) } };
		});
	}

	/** Makes a ticket of the caller's user, with a user's rights. Nothing is written. */
	async function issueTicket(
		caller: UserCaller,
		_input: InputOf<typeof createTicket>,
	): Promise<OutputOf<typeof createTicket>> {
		const holder = { ...caller, isBound: true, permissions: USER_PERMISSIONS };
		return { token: tickets.issue(holder), expires_in: TICKET_LIFE_S };
	}

	return {
		createToken: issueToken,
		createTicket: issueTicket,
		/** The live token with this public part, for authentication. Expiry is the asker's to compare. */
		findToken: async (prefix: string): Promise<UserTokenRow | undefined> =>
			read.users.findToken(prefix),
		/** The caller of a ticket, which is used up by this. */
		takeTicket: tickets.take,

		/** Ends the tickets of a purged tenant. */
		forget: tickets.forget,
	};
}
