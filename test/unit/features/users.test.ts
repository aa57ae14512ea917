import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { UserCaller } from '../../../src/core/caller.ts';
import type { UserId } from '../../../src/core/ids.ts';
import { USER_PERMISSIONS } from '../../../src/core/permissions.ts';
import { type App, codeOf, OPERATOR, openApp, type TestTenant } from './app.ts';

const ann = 'ann' as UserId;
const bob = 'bob' as UserId;

let app: App;
beforeAll(async () => {
	app = await openApp({ AUTH_FAILURES_PER_MINUTE: '0' });
});
afterAll(() => app.end());

const bearer = (token: string) => new Headers({ Authorization: `Bearer ${token}` });
const callerOf = async (token: string) =>
	(await app.authentication.tenant(bearer(token), () => '')).caller;
const holderOf = async (ticket: string) =>
	(await app.authentication.ticket(ticket, () => '')).caller;
const tokenOf = async ({ itself }: TestTenant, user_id = ann, expires_in = 3600) =>
	(await app.users.createToken(itself, { user_id, expires_in })).token;
/** The user as a request of the tenant's key is. */
const actAs = async ({ itself }: TestTenant, user_id = ann) =>
	(await app.authentication.actAs(itself, user_id)) as UserCaller;
const ticketOf = async (caller: UserCaller) => (await app.users.createTicket(caller, {})).token;

describe('a user', () => {
	test('is known by what was told, merged; null removes', async () => {
		const { itself } = await app.tenant();
		const metadata = { team: 'a', level: 1 };
		await app.users.update(itself, { user_id: ann, name: 'Ann', metadata });
		app.clock.advance(5);

		const url = 'https://cdn.acme.com/ann.png';
		const merged = await app.users.update(itself, {
			user_id: ann,
			name: null,
			avatar_url: url,
			metadata: { level: null, seat: 7 },
		});

		expect(merged).toMatchObject({ name: null, avatar_url: url, metadata: { team: 'a', seat: 7 } });
		expect(merged.updated_at > merged.created_at).toBeTrue();
		expect(await app.users.get(itself, { user_id: ann })).toEqual(merged);
	});

	test('is neither known to another tenant nor changed by one', async () => {
		const [one, two] = [await app.tenant(), await app.tenant()];
		await app.users.update(one.itself, { user_id: ann, name: 'One' });

		expect(await codeOf(app.users.get(two.itself, { user_id: ann }))).toBe('NOT_FOUND');
		await app.users.update(two.itself, { user_id: ann, name: 'Two' });
		await app.users.deactivate(two.itself, { user_id: ann });

		expect(await app.users.get(one.itself, { user_id: ann })).toMatchObject({
			name: 'One',
			deactivated_at: null,
		});
		expect(await codeOf(actAs(one))).toBe('done');
	});

	test('has metadata within its limit, the merged one too', async () => {
		const { itself } = await app.tenant();
		const half = 'x'.repeat(5000);
		await app.users.update(itself, { user_id: ann, metadata: { a: half } });

		const over = app.users.update(itself, { user_id: ann, metadata: { b: half } });

		expect(await codeOf(over)).toBe('PAYLOAD_TOO_LARGE');
	});
});

describe('a user token', () => {
	test('acts as its user and nobody else, with a user’s rights only', async () => {
		const tenant = await app.tenant();
		const caller = await callerOf(await tokenOf(tenant));

		expect(caller).toMatchObject({
			tenant_id: tenant.tenant_id,
			user_id: ann,
			key_id: tenant.key_id,
			isBound: true,
		});
		expect(caller.permissions).toEqual(USER_PERMISSIONS);
		expect(await app.authentication.actAs(caller, null)).toBe(caller);
		expect(await app.authentication.actAs(caller, ann)).toBe(caller);
		expect(await codeOf(app.authentication.actAs(caller, bob))).toBe('VALIDATION_ERROR');
	});

	test('is good until the moment it expires, also out of the cache', async () => {
		const tenant = await app.tenant();
		const token = await tokenOf(tenant, ann, 10);

		app.clock.advance(9_999);
		expect(await codeOf(callerOf(token))).toBe('done');
		app.clock.advance(1);
		expect(await codeOf(callerOf(token))).toBe('AUTHENTICATION_ERROR');
	});

	test('ends with the key that made it: revoked, or expired', async () => {
		const tenant = await app.tenant();
		const expires_at = new Date(app.clock.now() + 10_000).toISOString();
		const key = await app.keys.create(OPERATOR, {
			tenant_id: tenant.tenant_id,
			name: 'short',
			permissions: ['auth_only'],
			expires_at,
		});
		const headers = new Headers({ 'X-API-Key': key.api_key });
		const { caller } = await app.authentication.tenant(headers, () => '');
		const itself = { ...caller, user_id: null };
		const short = await app.users.createToken(itself, { user_id: ann, expires_in: 3600 });
		const token = await tokenOf(tenant);

		expect(short.expires_at).toBe(expires_at);
		app.clock.advance(10_000);
		expect(await codeOf(callerOf(short.token))).toBe('AUTHENTICATION_ERROR');
		expect(await codeOf(callerOf(token))).toBe('done');
		await app.keys.revoke(OPERATOR, tenant);
		expect(await codeOf(callerOf(token))).toBe('AUTHENTICATION_ERROR');
	});

	test('is one of at most 1,000 at a time: one more is refused until one has ended', async () => {
		const tenant = await app.tenant();
		const first = await tokenOf(tenant, ann, 1000);
		await Promise.all(Array.from({ length: 999 }, () => tokenOf(tenant)));

		expect(await codeOf(tokenOf(tenant))).toBe('CONFLICT');
		expect(await codeOf(tokenOf(tenant, bob))).toBe('done');
		expect(await codeOf(callerOf(first))).toBe('done');
		app.clock.advance(1_000_000);
		expect(await codeOf(tokenOf(tenant))).toBe('done');
		expect(await codeOf(callerOf(first))).toBe('AUTHENTICATION_ERROR');
	});

	test('leaves no row once it has ended and others are made', async () => {
		const tenant = await app.tenant();
		for (const user of ['a', 'b', 'c']) await tokenOf(tenant, user as UserId, 1);
		app.clock.advance(1000);

		await tokenOf(tenant, bob);

		const [tenantRow] = app.rows<{ tenant: number }>(
			`SELECT tenant FROM tenants WHERE tenant_id = '${tenant.tenant_id}'`,
		);
		const left = app.rows(`SELECT user_id FROM user_tokens WHERE tenant = ${tenantRow?.tenant}`);
		expect(left).toEqual([{ user_id: bob }]);
	});

	for (const [claim, change] of [
		['another letter', (token: string) => token.replace(/.$/, (c) => (c === 'a' ? 'b' : 'a'))],
		['another kind', (token: string) => token.replace('ut_', 'sk_')],
		['the kind of a ticket', (token: string) => token.replace('ut_', 'wst_')],
		['no secret', (token: string) => token.slice(0, 13)],
		['a million characters', (token: string) => token + 'x'.repeat(1_000_000)],
	] as const) {
		test(`with ${claim} is none`, async () => {
			const token = change(await tokenOf(await app.tenant()));

			expect(await codeOf(callerOf(token))).toBe('AUTHENTICATION_ERROR');
			expect(await codeOf(holderOf(token))).toBe('AUTHENTICATION_ERROR');
		});
	}

	test('is no API key: in X-API-Key it is refused', async () => {
		const token = await tokenOf(await app.tenant());
		const asKey = app.authentication.tenant(new Headers({ 'X-API-Key': token }), () => '');

		expect(await codeOf(asKey)).toBe('AUTHENTICATION_ERROR');
	});
});

describe('a ticket', () => {
	test('is good for one use, as its user, with a user’s rights only', async () => {
		const tenant = await app.tenant();
		const ticket = await ticketOf(await actAs(tenant));

		const both = await Promise.allSettled([holderOf(ticket), holderOf(ticket)]);

		const [won, ...more] = both.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
		expect(more).toEqual([]);
		expect(won).toMatchObject({ tenant_id: tenant.tenant_id, user_id: ann, isBound: true });
		expect(won?.permissions).toEqual(USER_PERMISSIONS);
		expect(await codeOf(holderOf(ticket))).toBe('AUTHENTICATION_ERROR');
	});

	test('ends after 60 seconds, whatever the wall clock does', async () => {
		const caller = await actAs(await app.tenant());
		const [first, second] = [await ticketOf(caller), await ticketOf(caller)];

		app.clock.jump(3_600_000);
		app.clock.advance(59_999);
		expect(await codeOf(holderOf(first))).toBe('done');
		app.clock.advance(1);
		expect(await codeOf(holderOf(second))).toBe('AUTHENTICATION_ERROR');
	});

	test('ends with its key, with its user’s token, and with what is revoked of its user', async () => {
		const tenant = await app.tenant();
		const ofToken = await ticketOf((await callerOf(await tokenOf(tenant, bob, 5))) as UserCaller);
		const ofUser = await ticketOf(await actAs(tenant));
		app.clock.advance(5000);
		expect(await codeOf(holderOf(ofToken))).toBe('AUTHENTICATION_ERROR');

		await app.users.revoke(tenant.itself, { user_id: ann });
		expect(await codeOf(holderOf(ofUser))).toBe('AUTHENTICATION_ERROR');

		const ofKey = await ticketOf(await actAs(tenant));
		await app.keys.revoke(OPERATOR, tenant);
		expect(await codeOf(holderOf(ofKey))).toBe('AUTHENTICATION_ERROR');
	});

	test('is kept with 5,000 of its tenant: one more ends the oldest of that tenant', async () => {
		const [one, two] = [await app.tenant(), await app.tenant()];
		const other = await ticketOf(await actAs(two));
		const caller = await actAs(one);
		const [first, second] = [await ticketOf(caller), await ticketOf(caller)];
		for (let count = 2; count < 5001; count++) await ticketOf(caller);

		expect(await codeOf(holderOf(first))).toBe('AUTHENTICATION_ERROR');
		expect(await codeOf(holderOf(second))).toBe('done');
		expect(await codeOf(holderOf(other))).toBe('done');
	});
});

describe('revoking a user', () => {
	test('voids tokens and sockets, and refuses what a caller of before would write; new ones are good', async () => {
		const tenant = await app.tenant();
		const token = await tokenOf(tenant);
		const caller = (await callerOf(token)) as UserCaller;
		const { room_id } = await app.rooms.create(caller, { type: 'group' });
		const socket = await tenant.listen('ann');
		const bystander = await tenant.listen('bob');

		await app.users.revoke(tenant.itself, { user_id: ann });
		const late = app.messages.send(caller, { room_id, content: 'late' });

		expect(await codeOf(late)).toBe('AUTHENTICATION_ERROR');
		expect(app.rows(`SELECT content FROM messages WHERE content = 'late'`)).toEqual([]);
		expect([socket.closedWith, bystander.closedWith]).toEqual([4501, undefined]);
		expect(await codeOf(callerOf(token))).toBe('AUTHENTICATION_ERROR');
		expect(await codeOf(callerOf(await tokenOf(tenant)))).toBe('done');
		const again = app.messages.send(await actAs(tenant), { room_id, content: 'again' });
		expect(await codeOf(again)).toBe('done');
	});

	test('is of one user of one tenant', async () => {
		const [one, two] = [await app.tenant(), await app.tenant()];
		const tokens = [await tokenOf(one, bob), await tokenOf(two, ann)];
		const sockets = [await one.listen('bob'), await two.listen('ann')];

		await app.users.revoke(one.itself, { user_id: ann });

		for (const token of tokens) expect(await codeOf(callerOf(token))).toBe('done');
		expect(sockets.map(({ closedWith }) => closedWith)).toEqual([undefined, undefined]);
	});
});

describe('deactivating a user', () => {
	test('ends all acting as the user, until it is taken back', async () => {
		const tenant = await app.tenant();
		const token = await tokenOf(tenant);
		const caller = await actAs(tenant);
		const socket = await tenant.listen('ann');

		const off = await app.users.deactivate(tenant.itself, { user_id: ann });

		expect(off.deactivated_at).not.toBeNull();
		expect(socket.closedWith).toBe(4507);
		expect(await codeOf(callerOf(token))).toBe('AUTHENTICATION_ERROR');
		expect(await codeOf(actAs(tenant))).toBe('AUTHORIZATION_ERROR');
		expect(await codeOf(tokenOf(tenant))).toBe('CONFLICT');
		expect(await codeOf(app.rooms.create(caller, { type: 'group' }))).toBe('AUTHENTICATION_ERROR');

		const on = await app.users.reactivate(tenant.itself, { user_id: ann });

		expect(on.deactivated_at).toBeNull();
		expect(await codeOf(actAs(tenant))).toBe('done');
		expect(await codeOf(callerOf(token))).toBe('AUTHENTICATION_ERROR');
		expect(await codeOf(tokenOf(tenant))).toBe('done');
	});

	test('keeps the time of the first, and is forgotten by no other change', async () => {
		const { itself } = await app.tenant();
		const first = await app.users.deactivate(itself, { user_id: ann });
		app.clock.advance(1000);

		await app.users.deactivate(itself, { user_id: ann });
		const after = await app.users.update(itself, { user_id: ann, name: 'Ann' });

		expect(after.deactivated_at).toBe(first.deactivated_at);
	});

	test('cannot be taken back of a user that nobody has told of', async () => {
		const { itself } = await app.tenant();

		expect(await codeOf(app.users.reactivate(itself, { user_id: bob }))).toBe('NOT_FOUND');
	});
});

test('no secret is in any file of the database, and none in the log', async () => {
	const tenant = await app.tenant();
	const token = await tokenOf(tenant);
	const ticket = await ticketOf(await actAs(tenant));
	await callerOf(token);
	await holderOf(ticket);
	await codeOf(holderOf(ticket));
	const secrets = [token, ticket].map((text) => text.slice(-35, -6));

	const folder = dirname(app.path);
	const bytes = readdirSync(folder)
		.filter((name) => name.startsWith('chatapi.db'))
		.map((name) => readFileSync(join(folder, name), 'latin1'))
		.join('');

	// The public part is there, so the bytes are the right ones.
	expect(bytes).toContain(token.slice(0, 13));
	for (const secret of secrets) {
		expect(secret).toHaveLength(29);
		expect(bytes).not.toContain(secret);
		expect(app.log.join('\n')).not.toContain(secret);
	}
});
