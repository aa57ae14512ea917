/**
 * What becomes of notifications with time, in a tenant whose events, dead letters and notifications are
 * old, is nothing to another with the same users, topics and cursors. Time passes on the disk, between two
 * runs of the server: rows are made older, or as young as if the clock had been set back.
 */
import { Database } from 'bun:sqlite';
import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bodyOf } from '../../helpers/http.ts';
import { randomSecret, type Server, startServer } from '../../helpers/server.ts';
import { createTenant, operator, type TestTenant, tenantOf } from '../../helpers/tenants.ts';
import { useServer } from '../../helpers/use-server.ts';
import { eventually } from '../../helpers/wait.ts';

/** In the order in which they are made; only the last three grow old. */
const NAMES = ['crowd', 'twin', 'aging', 'shouting', 'silent'] as const;
type Tenants = Record<(typeof NAMES)[number], TestTenant>;
const AGING = 'tenant > 2';

const DAY_MS = 24 * 60 * 60 * 1000;
/** More than are removed at once. */
const CROWD = 600;

const notify = async (tenant: TestTenant, targets: object, payload: string) =>
	bodyOf(await tenant.as().post('/notify', { topic: 'news', payload, targets }), 202);

const subscribe = async (tenant: TestTenant, user: string) =>
	bodyOf(
		await tenant.as(user).post<{ subscription_id: string }>('/subscriptions', { topic: 'news' }),
		201,
	).subscription_id;

/** The same under the same cursors in both; but who ends its subscription, and who has a socket. */
async function talk(tenant: TestTenant, side: { ends: 'alice' | 'bob'; isListening: boolean }) {
	const socket = side.isListening ? await tenant.socket('alice') : undefined;
	await notify(tenant, { user_ids: ['alice', 'bob'] }, 'one');
	const made = { alice: await subscribe(tenant, 'alice'), bob: await subscribe(tenant, 'bob') };
	await notify(tenant, { topic_subscribers: true }, 'two');
	bodyOf(await tenant.as(side.ends).delete(`/subscriptions/${made[side.ends]}`), 200);
	await notify(tenant, { user_ids: ['carol'] }, 'three');
	await socket?.settle();
	await socket?.close();
}

/** Who did not confirm, the last one first, with how often it was sent. */
async function lettersOf(tenant: TestTenant): Promise<string> {
	const answer = await tenant
		.as()
		.get<{ failed_notifications: { user_id: string; attempts: number }[] }>('/dead-letters');
	const letters = bodyOf(answer, 200).failed_notifications;
	return letters.map(({ user_id, attempts }) => `${user_id} ${attempts}`).join(', ');
}

async function topicsOf(tenant: TestTenant, ...users: string[]): Promise<string[]> {
	const topics: string[] = [];
	for (const user of users) {
		const answer = await tenant
			.as(user)
			.get<{ subscriptions: { topic: string }[] }>('/subscriptions');
		for (const { topic } of bodyOf(answer, 200).subscriptions) topics.push(`${user} ${topic}`);
	}
	return topics;
}

async function payloadsOf(tenant: TestTenant, user: string, query = ''): Promise<string[]> {
	const answer = await tenant
		.as(user)
		.get<{ notifications: { payload: string }[] }>(`/notifications${query}`);
	return bodyOf(answer, 200).notifications.map(({ payload }) => payload);
}

/** Rows of a tenant in some tables: what notifications have left. */
async function rowsOf(
	{ server, tenant_id }: TestTenant,
	names = /^(notifi|deliver|dead_)/,
): Promise<number> {
	const path = `/admin/tenants/${tenant_id}/usage?explain=storage_bytes`;
	const answer = await operator(server).get<{
		explained: { items: { table: string; rows: number }[] };
	}>(path);
	const tables = bodyOf(answer, 200).explained.items;
	const kept = tables.filter(({ table }) => names.test(table));
	return kept.reduce((sum, { rows }) => sum + rows, 0);
}

describe('a user', () => {
	const used = useServer();

	test('ends the own subscription without a trace, and not that of a namesake who was told something', async () => {
		const [foreign, own] = [await createTenant(used.server), await createTenant(used.server)];
		// From the same cursor on in both.
		await subscribe(foreign, 'alice');
		const made = await subscribe(own, 'alice');
		await notify(foreign, { topic_subscribers: true }, 'foreign');

		bodyOf(await own.as('alice').delete(`/subscriptions/${made}`), 200);

		expect(await topicsOf(foreign, 'alice')).toEqual(['alice news']);
		expect(await topicsOf(own, 'alice')).toEqual([]);
		// Nothing was said while it lasted.
		expect(await rowsOf(own, /^subscriptions$/)).toBe(0);
		expect(await rowsOf(foreign, /^subscriptions$/)).toBe(1);
	});

	test('may subscribe as often, however often a namesake has', async () => {
		const [full, own] = [await createTenant(used.server), await createTenant(used.server)];
		const subscribeTo = (tenant: TestTenant, topic: string) =>
			tenant.as('alice').post('/subscriptions', { topic });
		for (let n = 0; n < 200; n++) bodyOf(await subscribeTo(full, `t${n}`), 201);

		expect((await subscribeTo(full, 'one-more')).status).toBe(409);
		expect((await subscribeTo(own, 'first')).status).toBe(201);
		expect((await subscribeTo(full, 'one-more')).status).toBe(409);
	});

	test('is shown the newest of the own tenant, where the other has newer ones in the same streams', async () => {
		const [foreign, own] = [await createTenant(used.server), await createTenant(used.server)];
		for (const tenant of [foreign, own]) await subscribe(tenant, 'alice');
		const toBob = (tenant: TestTenant) => notify(tenant, { user_ids: ['bob'] }, 'not for alice');
		const shared = [{ topic_subscribers: true }, { all: true }];
		// By topic, to all, by name: under the cursors 1 to 3 here, 4 and 5 there.
		for (const [index, targets] of shared.entries()) await notify(own, targets, `own ${index}`);
		await notify(own, { user_ids: ['alice'] }, 'own 2');
		for (let n = 0; n < 3; n++) await Promise.all([toBob(own), toBob(foreign)]);
		for (const targets of shared) await notify(foreign, targets, 'foreign');

		expect(await payloadsOf(own, 'alice', '?limit=1')).toEqual(['own 2']);
		expect(await payloadsOf(own, 'alice')).toEqual(['own 2', 'own 1', 'own 0']);
		expect(await payloadsOf(foreign, 'alice', '?limit=1')).toEqual(['foreign']);
	});
});

test('what is given up and forgotten in one tenant is so in no other', async () => {
	const dataDir = mkdtempSync(join(tmpdir(), 'chatapi-kept-'));
	const env = { MASTER_API_KEY: randomSecret(), DEFAULT_RATE_LIMIT: '0' };
	/** Ends the server, lets time pass, and starts one that keeps events for a second. */
	async function later(server: Server, tenants: Tenants, changes: readonly string[]) {
		expect(await server.stop()).toBe(0);
		const disk = new Database(join(dataDir, 'chatapi.db'));
		for (const change of changes) disk.run(change);
		disk.close();
		const next = await startServer({ dataDir, env: { ...env, EVENT_RETENTION: '1s' } });
		const moved = NAMES.map((name) => [name, tenantOf(next, tenants[name])]);
		return { server: next, tenants: Object.fromEntries(moved) as Tenants };
	}
	let server = await startServer({ dataDir, env });
	let tenants = {} as Tenants;
	for (const name of NAMES) tenants[name] = await createTenant(server, { name });
	const crowd = Array.from({ length: CROWD }, (_, index) => `u${index}`);
	await notify(tenants.crowd, { user_ids: ['alice', ...crowd] }, 'many');
	await talk(tenants.twin, { ends: 'bob', isListening: false });
	await talk(tenants.aging, { ends: 'alice', isListening: true });
	for (const payload of ['loud', 'louder']) await notify(tenants.shouting, { all: true }, payload);
	await notify(tenants.silent, { user_ids: ['alice'] }, 'quiet');
	const seen = await tenants.crowd.as('alice').get<{ as_of: string }>('/notifications');
	const ack = { cursor: bodyOf(seen, 200).as_of };
	bodyOf(await tenants.crowd.as('alice').post('/acks', ack), 200);

	({ server, tenants } = await later(server, tenants, [
		`UPDATE events SET created_at = created_at + iif(${AGING}, -1, 1) * ${DAY_MS}`,
	]));
	await eventually(async () => (await lettersOf(tenants.silent)) === 'alice 0', 15_000);
	await eventually(async () => (await lettersOf(tenants.aging)) !== '', 15_000);
	expect(await lettersOf(tenants.aging)).toBe('carol 0, bob 0, alice 1');
	expect(await lettersOf(tenants.twin)).toBe('');
	expect(await lettersOf(tenants.crowd)).toBe('');
	expect(await topicsOf(tenants.aging, 'alice', 'bob')).toEqual(['bob news']);
	expect(await topicsOf(tenants.twin, 'alice', 'bob')).toEqual(['alice news']);

	({ server, tenants } = await later(server, tenants, [
		`UPDATE notifications SET created_at = created_at - ${31 * DAY_MS} WHERE ${AGING}`,
		`UPDATE dead_letters SET failed_at = failed_at - ${31 * DAY_MS} WHERE ${AGING}`,
		// Its dead letters are all that is left.
		'DELETE FROM notification_targets WHERE tenant = 5',
		'DELETE FROM notifications WHERE tenant = 5',
		`UPDATE events SET created_at = created_at - ${2 * DAY_MS} WHERE tenant = 2`,
	]));
	await eventually(async () => (await lettersOf(tenants.twin)) !== '', 15_000);
	for (const name of ['aging', 'shouting', 'silent'] as const) {
		const isForgotten = async () => (await rowsOf(tenants[name])) === 0;
		await eventually(isForgotten, 15_000, `the rows of ${name} to go`);
	}
	expect(await lettersOf(tenants.aging)).toBe('');
	expect(await lettersOf(tenants.twin)).toBe('carol 0, bob 0, alice 0');
	expect(await payloadsOf(tenants.aging, 'alice')).toEqual([]);
	expect(await payloadsOf(tenants.twin, 'alice')).toEqual(['two', 'one']);
	expect(await payloadsOf(tenants.twin, 'carol')).toEqual(['three']);
	expect(await payloadsOf(tenants.crowd, 'alice')).toEqual(['many']);
	expect(await server.stop()).toBe(0);
	rmSync(dataDir, { recursive: true });
}, 120_000);
