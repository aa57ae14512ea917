/** Two tenants with the same users: what the one uses is in no figure of the other, and behind none. */
import { expect, test } from 'bun:test';
import { bodyOf } from '../../helpers/http.ts';
import {
	createGroup,
	createTenant,
	operator,
	sendMessage,
	type TestTenant,
} from '../../helpers/tenants.ts';
import { useServer } from '../../helpers/use-server.ts';

const used = useServer({ DEFAULT_RATE_LIMIT: '0' });

interface Usage extends Record<string, unknown> {
	storage_bytes: number;
	explained?: { items: Record<string, unknown>[] };
}

const usageOf = async ({ server, tenant_id }: TestTenant, query = '') =>
	bodyOf(await operator(server).get<Usage>(`/admin/tenants/${tenant_id}/usage${query}`), 200);

/** Every figure, and what stands behind it, asked for by the operator, which counts for nobody. */
async function everything(tenant: TestTenant) {
	const behind: Record<string, unknown> = {};
	for (const field of [
		'active_users',
		'messages_sent',
		'peak_connections',
		'storage_bytes',
		'days',
	]) {
		behind[field] = (await usageOf(tenant, `?explain=${field}&limit=100`)).explained?.items;
	}
	return { ...(await usageOf(tenant)), behind };
}

/** So many messages, by ann and bob, one of whom listens. */
async function talk(tenant: TestTenant, messages: number): Promise<string> {
	const { room_id } = await createGroup(tenant, 'ann', ['bob']);
	const socket = await tenant.socket('bob');
	for (let count = 0; count < messages; count += 50) {
		const slice = Array.from({ length: Math.min(50, messages - count) }, () =>
			sendMessage(tenant, 'ann', room_id),
		);
		await Promise.all(slice);
	}
	await socket.close();
	return room_id;
}

test('what one tenant uses moves no figure of another with the same users', async () => {
	const [first, own, last] = [
		await createTenant(used.server),
		await createTenant(used.server),
		await createTenant(used.server),
	];
	await talk(first, 5);
	const room_id = await talk(own, 3);
	const before = await everything(own);
	await talk(last, 1100);
	await talk(first, 7);

	expect(await everything(own)).toEqual(before);
	expect(before).toMatchObject({
		...{ messages_sent: 3, messages_delivered: 3, api_requests: 5 },
		...{ active_users: 2, peak_connections: 1 },
	});
	expect(before.behind).toMatchObject({
		active_users: [
			{ user_id: 'ann', days: 1 },
			{ user_id: 'bob', days: 1 },
		],
		messages_sent: [{ room_id, messages: 3 }],
		peak_connections: [{ peak_connections: 1 }],
	});
	expect(await usageOf(last)).toMatchObject({ messages_sent: 1100, active_users: 2 });
	expect((await usageOf(last, '?explain=storage_bytes')).explained?.items).toContainEqual(
		expect.objectContaining({ table: 'messages', rows: 1100 }),
	);
	// What is read for a period that is over is the tenant's own, too.
	for (const tenant of [first, own, last]) {
		expect(await usageOf(tenant, '?period=2020-01')).toMatchObject({ storage_bytes: 0 });
	}
}, 30_000);
