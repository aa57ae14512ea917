/** `POST /admin/apply` with documents that take a while: what others see of it, and what a crash leaves. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bodyOf, errorOf, type HttpClient, httpClient } from '../helpers/http.ts';
import { runBinary, type Server, startServer } from '../helpers/server.ts';
import { createGroup, createTenant, operator, sendMessage } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import { eventually } from '../helpers/wait.ts';
import type { TenantsPage } from '../helpers/wire.ts';

const used = useServer({ AUTH_FAILURES_PER_MINUTE: '0' });

interface Applied {
	changes: { action: string; kind: string; name: string }[];
	unchanged: { plans: number; tenants: number; api_keys: number };
	api_keys: { tenant: string; name: string; api_key: string }[];
}
interface Progress {
	state: string;
	done: number;
	total: number;
}

const MANY = 400;

/** A document of so many tenants, each with a key. */
const manyTenants = (prefix: string, count = MANY) => ({
	plans: [{ name: prefix }],
	tenants: Array.from({ length: count }, (_, index) => ({
		...{ name: `${prefix} ${index}`, plan: prefix, metadata: { index } },
		keys: [{ name: 'Backend', permissions: ['full_access'] }],
	})),
});

const progressOf = async (client: HttpClient): Promise<Progress> =>
	bodyOf(await client.get<Progress>('/admin/apply'), 200);

/** Waits until some of a document is made. */
const isUnderWay = (client: HttpClient) =>
	eventually(async () => {
		const { state, done } = await progressOf(client);
		return state === 'changing' && done > 0 ? done : undefined;
	}, 20_000);

/** Every tenant of the prefix, by name. */
async function tenantsOf(client: HttpClient, prefix: string): Promise<string[]> {
	const names: string[] = [];
	for (let cursor = ''; ; ) {
		const path = `/admin/tenants?limit=100&q=${encodeURIComponent(prefix)}${cursor}`;
		const page = bodyOf(await client.get<TenantsPage>(path), 200);
		names.push(...page.tenants.map(({ name }) => name));
		if (page.next_cursor === null) return names;
		cursor = `&cursor=${page.next_cursor}`;
	}
}

describe('a document of many tenants', () => {
	test('is made while others send and change; the document has the last word on what it names', async () => {
		const client = operator(used.server);
		const other = await createTenant(used.server, {
			...{ name: 'Bystander', rate_limit: { requests_per_second: 1_000_000 } },
		});
		const { room_id } = await createGroup(other, 'ann', ['bob']);
		const document = manyTenants('Busy');
		await client.post('/admin/apply', { tenants: [{ name: `Busy ${MANY - 1}`, keys: [] }] });
		const [last] = bodyOf(
			await client.get<TenantsPage>(`/admin/tenants?q=${encodeURIComponent(`Busy ${MANY - 1}`)}`),
			200,
		).tenants;

		const applying = client.post<Applied>('/admin/apply', document);
		await isUnderWay(client);
		const patched = await client.patch(`/admin/tenants/${last?.tenant_id}`, {
			...{ domain: 'kept.example', metadata: { index: 'overruled' } },
		});
		let sent = 0;
		while ((await progressOf(client)).state !== 'idle') {
			await sendMessage(other, 'ann', room_id, `meanwhile ${sent++}`);
		}
		const applied = bodyOf(await applying, 200);
		const again = bodyOf(await client.post<Applied>('/admin/apply', document), 200);

		expect(patched.status).toBe(200);
		expect(sent).toBeGreaterThan(0);
		expect(applied.api_keys).toHaveLength(MANY);
		expect(again.changes).toEqual([]);
		expect(new Set(await tenantsOf(client, 'Busy')).size).toBe(MANY);
		const tenant = bodyOf(
			await client.get<TenantsPage['tenants'][number]>(`/admin/tenants/${last?.tenant_id}`),
			200,
		);
		expect(tenant).toMatchObject({ domain: 'kept.example', metadata: { index: MANY - 1 } });
	});

	test('is refused while another is being applied, and makes nothing twice', async () => {
		const client = operator(used.server);
		const document = manyTenants('Twice');

		const first = client.post<Applied>('/admin/apply', document);
		await isUnderWay(client);
		const second = await client.post<Applied>('/admin/apply', document);
		const dry = await client.post<Applied>('/admin/apply?dry_run=true', document);

		expect(second.status).toBe(409);
		expect(errorOf(second)).toMatchObject({ code: 'CONFLICT' });
		expect(dry.status).toBe(200);
		expect((await first).status).toBe(200);
		const names = await tenantsOf(client, 'Twice');
		expect([names.length, new Set(names).size]).toEqual([MANY, MANY]);
	});

	test('small ones at once are made once', async () => {
		const client = operator(used.server);
		const document = manyTenants('Small', 3);

		const answers = await Promise.all(
			Array.from({ length: 10 }, () => client.post<Applied>('/admin/apply', document)),
		);

		const made = answers.flatMap(({ status, body }) => (status === 200 ? body.api_keys : []));
		expect(made).toHaveLength(3);
		expect((await tenantsOf(client, 'Small')).sort()).toEqual(['Small 0', 'Small 1', 'Small 2']);
	});

	test('is refused for its last tenant before the first is made', async () => {
		const client = operator(used.server);
		const { plans, tenants } = manyTenants('Whole');

		const refused = await client.post('/admin/apply', {
			plans,
			tenants: [...tenants, { name: 'Whole', plan_id: `plan_${'0'.repeat(26)}` }],
		});

		expect(errorOf(refused)).toMatchObject({ code: 'NOT_FOUND', field: `/tenants/${MANY}` });
		expect(await tenantsOf(client, 'Whole')).toEqual([]);
	});
});

describe('a kill in the middle', () => {
	let folder: string;
	let server: Server;
	const start = () =>
		startServer({ dataDir: join(folder, 'data'), env: { AUTH_FAILURES_PER_MINUTE: '0' } });
	beforeAll(async () => {
		folder = mkdtempSync(join(tmpdir(), 'chatapi-killed-'));
		server = await start();
	});
	afterAll(async () => {
		expect(await server.stop()).toBe(0);
		rmSync(folder, { recursive: true, force: true });
	});

	/** Kills the server while it applies the document, and starts it again. */
	async function killed(document: object, headers: Record<string, string>): Promise<number> {
		const client = operator(server);
		const lost = client.post('/admin/apply', document, headers).then(
			() => 'answered',
			() => 'lost',
		);
		await isUnderWay(client);
		await server.kill();
		expect(await lost).toBe('lost');
		server = await start();
		return (await tenantsOf(operator(server), 'Killed')).length;
	}

	test('leaves what was made; the same request again makes the rest, and tells every secret', async () => {
		const document = manyTenants('Killed');
		const headers = { 'Idempotency-Key': 'once' };
		const left = await killed(document, headers);

		const answer = await operator(server).post<Applied>('/admin/apply', document, headers);
		const again = await operator(server).post<Applied>('/admin/apply', document, headers);
		const other = await operator(server).post<Applied>('/admin/apply', document);

		expect(left).toBeGreaterThan(0);
		expect(left).toBeLessThan(MANY);
		const { api_keys, changes } = bodyOf(answer, 200);
		expect(new Set(api_keys.map(({ tenant }) => tenant)).size).toBe(MANY);
		expect(api_keys).toHaveLength(MANY);
		expect(changes.filter(({ kind }) => kind === 'tenant')).toHaveLength(MANY);
		for (const { api_key } of [...api_keys.slice(0, 3), ...api_keys.slice(-3)]) {
			expect((await httpClient(server, { key: api_key }).get('/settings')).status).toBe(200);
		}
		expect(again.text).toBe(answer.text);
		expect(again.headers.get('Idempotency-Replayed')).toBe('true');
		expect(bodyOf(other, 200).changes).toEqual([]);
	});

	test('and a restart is not noticed by who types the command', async () => {
		const document = manyTenants('Killed again');
		const file = join(folder, 'document.json');
		await Bun.write(file, JSON.stringify(document));
		const out = join(folder, 'secrets.jsonl');
		const args = ['apply', '-f', file, '--secrets-out', out];

		const typed = runBinary(args, { DATA_DIR: server.dataDir }, 60_000);
		await isUnderWay(operator(server));
		await server.kill();
		server = await start();
		const answer = await typed;

		expect(answer).toMatchObject({ exitCode: 0 });
		expect(answer.stdout.trim().split('\n').at(-1)).toBe(
			`${2 * MANY + 1} created, 0 changed, 0 pruned, 0 unchanged`,
		);
		expect((await Bun.file(out).text()).trim().split('\n')).toHaveLength(MANY);
		expect(await tenantsOf(operator(server), 'Killed again')).toHaveLength(MANY);
	});
});
