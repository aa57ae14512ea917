/** Two tenants with the same users: what the one uses is in no figure of the other, and behind none. */
import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bodyOf } from '../../helpers/http.ts';
import { randomSecret, startServer } from '../../helpers/server.ts';
import {
	createGroup,
	createTenant,
	operator,
	sendMessage,
	type TestTenant,
	tenantOf,
} from '../../helpers/tenants.ts';
import { useServer } from '../../helpers/use-server.ts';
import { eventually } from '../../helpers/wait.ts';

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
	// Who was online is written some time later, and weighs something.
	const before = await eventually(async () => {
		const seen = await everything(own);
		return JSON.stringify(seen.behind.storage_bytes).includes('"presences"') && seen;
	}, 20_000);
	await talk(last, 1100);
	await talk(first, 7);
	// Written as it is asked for, so that it lies beside what is read next.
	for (const tenant of [first, last]) await usageOf(tenant);

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
}, 60_000);

const DAY_MS = 86_400_000;
const dayOf = (ms: number) => Math.floor(ms / DAY_MS);
const textOf = (day: number) => new Date(day * DAY_MS).toISOString().slice(0, 10);

test('what was on a day that is over is in the figures of its own tenant, whatever the clock did', async () => {
	await eventually(() => Date.now() % DAY_MS < DAY_MS - 60_000, 70_000, 'midnight to pass');
	const dataDir = mkdtempSync(join(tmpdir(), 'chatapi-usage-'));
	const env = { MASTER_API_KEY: randomSecret(), DEFAULT_RATE_LIMIT: '0' };
	const first = await startServer({ dataDir, env });
	const [busy, quiet] = [await createTenant(first), await createTenant(first)];
	// All that the quiet one does is done by the operator: nothing of it is its use.
	const room_id = await talk(busy, 3);
	const disk = new Database(join(dataDir, 'chatapi.db'));
	const measured = disk.query('SELECT 1 FROM usage_days WHERE storage_bytes > 0');
	await eventually(() => measured.get() !== null, 20_000, 'the storage to be measured');
	expect(await first.stop()).toBe(0);
	// So it looks a day later; but that the busy one was ahead of the clock, and has been at today before.
	const today = dayOf(Date.now());
	disk.run(`UPDATE messages SET created_at = created_at - ${DAY_MS}`);
	disk.run('UPDATE usage_days SET day = day - 1');
	disk.run('UPDATE tenant_heads SET message_day = message_day - 1 WHERE message_day > 0');
	disk.run(`INSERT INTO usage_days (tenant, day, messages_sent) VALUES (1, ${today - 1}, 3), (1, ${today}, 40)
		ON CONFLICT (tenant, day) DO UPDATE SET messages_sent = excluded.messages_sent`);
	disk.run(
		`UPDATE tenant_heads SET message_day = ${today + 1}, day_messages = 500 WHERE tenant = 1`,
	);
	disk.close();

	const second = await startServer({ dataDir, env });
	const [then, now] = [busy, quiet].map((tenant) => tenantOf(second, tenant)) as [
		TestTenant,
		TestTenant,
	];
	const of = (tenant: TestTenant, day: number) => usageOf(tenant, `?period=${textOf(day)}`);
	expect(await of(now, today - 1)).toMatchObject({ messages_sent: 0, storage_bytes: 0 });
	expect((await of(then, today - 1)).storage_bytes).toBeGreaterThan(1000);
	const inRoom = { room_id: await talk(now, 2), messages: 2 };
	expect(await of(now, today)).toMatchObject({ messages_sent: 2 });
	// In a room of the same number, with messages of the same seqs.
	const behind = await usageOf(now, `?period=${textOf(today)}&explain=messages_sent`);
	expect(behind.explained?.items).toEqual([inRoom]);
	await sendMessage(then, 'ann', room_id);
	expect(await of(then, today)).toMatchObject({ messages_sent: 41 });
	expect(await of(then, today + 1)).toMatchObject({ messages_sent: 500 });
	expect(await of(now, today + 1)).toMatchObject({ messages_sent: 0 });
	expect(await second.stop()).toBe(0);
	rmSync(dataDir, { recursive: true });
}, 120_000);
