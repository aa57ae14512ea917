/** A suspended tenant: nothing is done for it, by any of its credentials, on any way; and its data stays. */
import { describe, expect, test } from 'bun:test';
import { type Answer, bodyOf, errorOf, httpClient } from '../helpers/http.ts';
import { openSocket } from '../helpers/socket.ts';
import {
	createGroup,
	createManagementKey,
	createPlan,
	createTenant,
	createTicket,
	createToken,
	operator,
	sendMessage,
	type TestTenant,
	withToken,
} from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import { eventually, within } from '../helpers/wait.ts';
import type { Message, Room, Tenant } from '../helpers/wire.ts';

const used = useServer({ DEFAULT_RATE_LIMIT: '0', WS_FRAMES_PER_SECOND: '0' });

const act = async (tenant: TestTenant, verb: 'suspend' | 'resume') =>
	bodyOf(
		await operator(used.server).post<Tenant>(`/admin/tenants/${tenant.tenant_id}/${verb}`),
		200,
	);

const isRefused = (answer: Answer) => {
	expect(answer.status).toBe(403);
	expect(errorOf(answer)).toMatchObject({
		code: 'AUTHORIZATION_ERROR',
		message: 'This tenant is suspended',
		retryable: false,
	});
};

describe('POST /admin/tenants/{tenant_id}/suspend', () => {
	test('refuses every key, token and ticket, says why, and takes it back with resume', async () => {
		const tenant = await createTenant(used.server);
		const other = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice');
		const token = await createToken(tenant, 'alice');
		const ticket = await createTicket(tenant, 'alice');

		const suspended = await act(tenant, 'suspend');

		expect(suspended).toMatchObject({ status: 'suspended', version: 2 });
		isRefused(await tenant.as('alice').get('/rooms'));
		isRefused(await tenant.as().get(`/rooms/${room_id}`));
		isRefused(await tenant.as('alice').post(`/rooms/${room_id}/messages`, { content: 'x' }));
		isRefused(await withToken(used.server, token).get('/rooms'));
		const upgrade = await fetch(`${used.server.url}/ws?token=${ticket}`);
		expect(upgrade.status).toBe(403);
		expect(await upgrade.text()).toContain('This tenant is suspended');
		expect((await other.as('alice').get('/rooms')).status).toBe(200);
		const wrong = `${tenant.api_key.slice(0, -1)}!`;
		expect((await httpClient(used.server, { key: wrong }).get('/rooms')).status).toBe(401);

		expect(await act(tenant, 'resume')).toMatchObject({ status: 'active', version: 3 });
		expect((await tenant.as('alice').get(`/rooms/${room_id}`)).status).toBe(200);
		expect((await withToken(used.server, token).get('/rooms')).status).toBe(200);
	});

	test('changes nothing the second time, nor does a resume of who is not suspended', async () => {
		const tenant = await createTenant(used.server);

		expect((await act(tenant, 'resume')).version).toBe(1);
		expect((await act(tenant, 'suspend')).version).toBe(2);
		expect((await act(tenant, 'suspend')).version).toBe(2);
		expect((await act(tenant, 'resume')).version).toBe(3);
	});

	test('closes the sockets of users and backends with 4509 within a second, and nobody else’s', async () => {
		const [tenant, other] = [await createTenant(used.server), await createTenant(used.server)];
		const token = await createToken(tenant, 'bob');
		const bearer = { headers: { Authorization: `Bearer ${token}` } };
		const sockets = [
			await tenant.socket('alice'),
			await tenant.socket('alice'),
			await openSocket(used.server, bearer),
			await openSocket(used.server, { key: tenant.api_key }),
			await openSocket(used.server, { query: `token=${await createTicket(tenant, 'carol')}` }),
		];
		const bystander = await other.socket('alice');

		await act(tenant, 'suspend');

		for (const socket of sockets) {
			expect(await within(socket.closed, 'the close', 1000)).toEqual({
				code: 4509,
				reason: 'tenant_suspended',
			});
		}
		await bystander.settle();
		await bystander.close();
	});

	test('ends a long poll with 403', async () => {
		const tenant = await createTenant(used.server);
		const head = await tenant.as().get<{ as_of: string }>('/events');
		const poll = tenant.as().get(`/events?after=${head.body.as_of}&wait=25`);
		// What it answers at once it has answered by the time that others are.
		for (let count = 0; count < 5; count++) await tenant.as('alice').get('/rooms');

		await act(tenant, 'suspend');

		isRefused(await within(poll, 'the end of the poll', 2000));
	});

	test('leaves all that is stored, and the operator reads on', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice');
		const sent = await sendMessage(tenant, 'alice', room_id, 'kept');

		await act(tenant, 'suspend');
		const read = await operator(used.server).get<Tenant>(`/admin/tenants/${tenant.tenant_id}`);
		await act(tenant, 'resume');

		expect(bodyOf(read, 200).status).toBe('suspended');
		const page = await tenant
			.as('alice')
			.get<{ messages: Message[] }>(`/rooms/${room_id}/messages`);
		expect(page.body.messages.map(({ message_id }) => message_id)).toEqual([sent.message_id]);
	});

	test('is for management credentials of the tenant’s plan, and of no other', async () => {
		const [own, other] = [await createPlan(used.server), await createPlan(used.server)];
		const tenant = await createTenant(used.server, { plan_id: own.plan_id });
		const path = `/admin/tenants/${tenant.tenant_id}/suspend`;
		const clientOf = async (plan_id: string) =>
			httpClient(used.server, { management: await createManagementKey(used.server, plan_id) });

		expect((await (await clientOf(other.plan_id)).post(path)).status).toBe(404);
		expect((await tenant.as('alice').get('/rooms')).status).toBe(200);
		expect((await (await clientOf(own.plan_id)).post(path)).status).toBe(200);
		expect((await tenant.as('alice').get('/rooms')).status).toBe(403);
	});
});

/** Sends without a pause over both faces until it is refused; what was answered, by when. */
async function flood(tenant: TestTenant, room_id: string, isOver: () => boolean) {
	const [stored, refused]: [number[], Answer[]] = [[], []];
	const senders = Array.from({ length: 16 }, async () => {
		while (!isOver()) {
			const answer = await tenant.as('alice').call<Message>('POST', `/rooms/${room_id}/messages`, {
				body: { content: 'flood' },
				isChecked: false,
			});
			if (answer.status === 201) stored.push(answer.body.seq);
			else refused.push(answer);
			if (answer.status !== 201) return;
		}
	});
	await Promise.all(senders);
	return { stored, refused };
}

test('while messages flow, none is stored after the answer of the suspension', async () => {
	const [tenant, other] = [await createTenant(used.server), await createTenant(used.server)];
	const { room_id } = await createGroup(tenant, 'alice', ['bob']);
	const { room_id: otherRoom } = await createGroup(other, 'alice');
	const headOf = async () => {
		const room = await tenant.as().get<Room>(`/rooms/${room_id}`);
		return bodyOf(room, 200).last_seq;
	};
	let isOver = false;
	const [flooding, othersFlooding] = [
		flood(tenant, room_id, () => isOver),
		flood(other, otherRoom, () => isOver),
	];
	const socket = await tenant.socket('bob');
	const frames = Array.from({ length: 4 }, async () => {
		while (socket.isOpen) {
			const sent = socket.request({ type: 'send_message', room_id, content: 'framed' });
			await Promise.race([sent.catch(() => {}), socket.closed]);
		}
	});
	await eventually(async () => (await headOf()) > 500, 20_000, 'the flood');

	await act(tenant, 'suspend');
	// What the database has now is all there will ever be: read behind the back of the server.
	const { Database } = await import('bun:sqlite');
	const db = new Database(`${used.server.dataDir}/chatapi.db`, { readonly: true });
	const count = () =>
		db
			.query<{ count: number }, []>(
				"SELECT count(*) AS count FROM messages WHERE content <> '' AND tenant = (SELECT tenant FROM tenants WHERE status = 'suspended' ORDER BY tenant DESC LIMIT 1)",
			)
			.get()?.count ?? -1;
	const atAnswer = count();
	const { refused, stored } = await within(flooding, 'the end of the flood', 10_000);
	await within(socket.closed, 'the close', 1000);
	await Promise.all(frames);
	isOver = true;
	const { stored: othersStored, refused: othersRefused } = await othersFlooding;

	expect(count()).toBe(atAnswer);
	db.close();
	expect(refused.length).toBe(16);
	for (const answer of refused) isRefused(answer);
	expect(othersRefused).toEqual([]);
	expect(othersStored.length).toBeGreaterThan(100);
	await act(tenant, 'resume');
	expect(await headOf()).toBe(atAnswer);
	expect(Math.max(...stored)).toBeLessThanOrEqual(atAnswer);
}, 60_000);
