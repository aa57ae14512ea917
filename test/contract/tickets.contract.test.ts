/** What a page opens a socket with, where it can set no headers. */
import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf, httpClient } from '../helpers/http.ts';
import { upgradeAnswer } from '../helpers/raw-http.ts';
import { openSocket } from '../helpers/socket.ts';
import {
	createGroup,
	createKey,
	createTenant,
	createTicket,
	createToken,
	operator,
	withToken,
} from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import { within } from '../helpers/wait.ts';

const PAGE = 'https://app.acme.com';

const used = useServer({ DEFAULT_RATE_LIMIT: '0' });

const upgrade = (ticket: string, headers: Record<string, string> = {}, rest = '') =>
	upgradeAnswer(used.server, headers, `/ws?token=${ticket}${rest}`);

describe('POST /ws/token', () => {
	test('answers 200 with a ticket that opens one socket as the user', async () => {
		const tenant = await createTenant(used.server);
		const answer = await tenant.as('alice').post('/ws/token');

		const body = bodyOf(answer, 200) as { token: string; expires_in: number };
		expect(Object.keys(body).sort()).toEqual(['expires_in', 'token']);
		expect(body.token).toMatch(/^wst_[0-9A-Za-z]{45}$/);
		expect(body.expires_in).toBe(60);
		const socket = await openSocket(used.server, { query: `token=${body.token}` });
		expect(socket.connected.user_id).toBe('alice');
		const again = await upgrade(body.token);
		expect([again.status, errorOf(again).message]).toEqual([401, 'Invalid or expired token']);
		await socket.close();
	});

	test('wants a user, and takes nothing', async () => {
		const tenant = await createTenant(used.server);

		const nobody = await tenant.as().post('/ws/token');
		const more = await tenant.as('alice').post('/ws/token', { user_id: 'bob' });

		expect(errorOf(nobody)).toMatchObject({ code: 'VALIDATION_ERROR', field: 'X-User-Id' });
		expect(errorOf(more)).toMatchObject({ code: 'VALIDATION_ERROR', field: 'user_id' });
	});

	test('is for a user with a token too: a page needs no backend to come back', async () => {
		const tenant = await createTenant(used.server, { allowed_origins: [PAGE] });
		const page = withToken(used.server, await createToken(tenant, 'alice'));

		const answer = await page.post<{ token: string }>('/ws/token', undefined, { Origin: PAGE });

		const ticket = bodyOf(answer, 200).token;
		expect((await upgrade(ticket, { Origin: PAGE })).status).toBe(101);
	});
});

describe('a ticket', () => {
	test('of forty that show it at once, is one’s', async () => {
		const tenant = await createTenant(used.server);
		for (let round = 0; round < 5; round++) {
			const ticket = await createTicket(tenant, 'alice');

			const answers = await Promise.all(Array.from({ length: 40 }, () => upgrade(ticket)));

			const statuses = answers.map(({ status }) => status).sort();
			expect(statuses).toEqual([101, ...Array.from({ length: 39 }, () => 401)]);
		}
	});

	test('gives a user’s rights, whatever the key may', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice');
		const { api_key } = await createKey(tenant, ['auth_only']);
		const minter = httpClient(used.server, { key: api_key, user: 'alice' });
		const made = await minter.post<{ token: string }>('/ws/token');

		const socket = await openSocket(used.server, { query: `token=${bodyOf(made, 200).token}` });

		const sent = await socket.request({ type: 'send_message', room_id, content: 'hi' });
		expect(sent).toMatchObject({ type: 'reply', data: { sender_id: 'alice' } });
		await socket.close();
	});

	test('ends with its key, unused or used', async () => {
		const tenant = await createTenant(used.server);
		const { api_key, key_id } = await createKey(tenant, ['auth_only']);
		const minter = httpClient(used.server, { key: api_key, user: 'alice' });
		const tickets = [];
		for (let count = 0; count < 2; count++) {
			tickets.push(bodyOf(await minter.post<{ token: string }>('/ws/token'), 200).token);
		}
		const socket = await openSocket(used.server, { query: `token=${tickets[0]}` });

		await operator(used.server).delete(`/admin/tenants/${tenant.tenant_id}/api-keys/${key_id}`);

		expect((await upgrade(`${tickets[1]}`)).status).toBe(401);
		expect((await within(socket.closed, 'the socket to close', 1_000)).code).toBe(4501);
	});

	test('is held against the origins of its tenant, and used up by what is refused', async () => {
		const tenant = await createTenant(used.server, { allowed_origins: [PAGE] });
		const [good, bad] = [await createTicket(tenant, 'alice'), await createTicket(tenant, 'alice')];

		const refused = await upgrade(bad, { Origin: `${PAGE}.evil.example` });

		expect([refused.status, errorOf(refused).field]).toEqual([403, 'Origin']);
		expect((await upgrade(bad, { Origin: PAGE })).status).toBe(401);
		expect((await upgrade(good, { Origin: PAGE })).status).toBe(101);
	});

	test('names its user: another one beside it is 400', async () => {
		const tenant = await createTenant(used.server);

		const other = await upgrade(await createTicket(tenant, 'alice'), {}, '&user_id=bob');
		const same = await upgrade(await createTicket(tenant, 'alice'), {}, '&user_id=alice');

		expect([other.status, same.status]).toEqual([400, 101]);
	});

	test('is one credential: beside a key, or twice, it is 400', async () => {
		const tenant = await createTenant(used.server);
		const key = { 'X-API-Key': tenant.api_key, 'X-User-Id': 'alice' };
		const ticket = await createTicket(tenant, 'alice');

		const beside = await upgrade(ticket, key);
		const twice = await upgrade(ticket, {}, `&token=${ticket}`);

		for (const answer of [beside, twice]) {
			expect(errorOf(answer)).toMatchObject({ code: 'VALIDATION_ERROR', field: 'token' });
		}
	});

	for (const [claim, text] of [
		['nothing', ''],
		['an API key', 'sk_'.padEnd(48, '0')],
		['one that was never given out', 'wst_'.padEnd(49, '0')],
		['fifteen thousand characters', 'wst_'.padEnd(15_000, '0')],
		['bytes that are no text', 'wst_%ff%00'],
	] as const) {
		test(`that is ${claim} is 401`, async () => {
			const answer = await upgrade(text);

			expect([answer.status, errorOf(answer).code]).toEqual([401, 'AUTHENTICATION_ERROR']);
			expect(answer.text).not.toContain('wst_');
		});
	}

	test('is no credential anywhere else', async () => {
		const tenant = await createTenant(used.server);
		const ticket = await createTicket(tenant, 'alice');

		const inHeader = await withToken(used.server, ticket).get('/rooms');
		const inQuery = await httpClient(used.server).get(`/rooms?token=${ticket}`);

		expect([inHeader.status, inQuery.status]).toEqual([401, 401]);
		expect((await upgrade(ticket)).status).toBe(101);
	});
});
