/**
 * Every error code that an operation declares, produced: one test per operation and code, generated
 * from the server's own document. A code without a scenario fails, unless it is on the list below.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { type Answer, errorOf, type HttpClient, httpClient } from '../helpers/http.ts';
import { type Declared, openApiOf } from '../helpers/openapi.ts';
import { type Server, startServer } from '../helpers/server.ts';
import type { TestTenant } from '../helpers/tenants.ts';
import {
	createGroup,
	createKey,
	createManagementKey,
	createPlan,
	createTenant,
	operator,
} from '../helpers/tenants.ts';
import { eventually } from '../helpers/wait.ts';
import type { Room } from '../helpers/wire.ts';
import { isTenantsOwn } from './bad-input/valid-requests.ts';

/** Codes that no black box can ask for at will, with who shows them instead. */
const ELSEWHERE: Record<string, string> = {
	INTERNAL_ERROR: 'a defect: provoked in internal-error.contract.test.ts',
	UNAVAILABLE: 'the drain (shutdown.contract.test.ts) and the full queue below',
	INSUFFICIENT_STORAGE: 'a full disk: test/crash/disk-full.crash.test.ts',
};

const MISSING: Record<string, string> = {
	tenant_id: `tenant_${'0'.repeat(26)}`,
	room_id: `room_${'0'.repeat(26)}`,
	key_id: `key_${'0'.repeat(26)}`,
	subscription_id: `sub_${'0'.repeat(26)}`,
	user_id: 'nobody',
	plan_id: `plan_${'0'.repeat(26)}`,
	key: 'mk_0000000000',
};

interface World {
	tenant: TestTenant;
	/** With nothing left in its bucket. */
	exhausted: TestTenant;
	/** A key of the first tenant that may do nothing here. */
	powerless: string;
	room_id: string;
	dm_id: string;
	key_id: string;
	plan_id: string;
	/** Management credentials of that plan. */
	key: string;
	management: { key: string; secret: string };
}

/** Where what is missing is named in the body or query, and the example names nothing. */
const MISSING_IN: Record<string, Changes> = {
	'audit.list': { query: `tenant_id=${MISSING.tenant_id}` },
	'tenants.create': { body: { name: 'Acme', plan_id: MISSING.plan_id } },
	'configuration.apply': { body: { tenants: [{ name: 'Nobody', plan_id: MISSING.plan_id }] } },
	'notifications.send': {
		body: { topic: 'orders', payload: 1, targets: { room_id: MISSING.room_id } },
	},
	'dead_letters.review': { query: `tenant_id=${MISSING.tenant_id}` },
};

/** Asked with credentials that may do it, but for this. */
const FORBIDDEN: Record<string, Scenario> = {
	'tenants.update': (declared, world) => moveAway(declared, world),
	'tenants.merge': (declared, world) => moveAway(declared, world),
	'tenants.delete': (declared, world) => confined(declared, world, { query: 'purge=now' }),
};

async function moveAway(declared: Declared, world: World): Promise<Answer> {
	const { plan_id } = await createPlan(server);
	return confined(declared, world, { body: { plan_id } });
}

/** About a tenant of a plan, by who is confined to that plan. */
async function confined(declared: Declared, world: World, changes: Changes): Promise<Answer> {
	const { tenant_id } = await createTenant(server, { plan_id: world.plan_id });
	const client = httpClient(server, { management: world.management });
	return call(client, declared, { ...world, tenant: { ...world.tenant, tenant_id } }, changes);
}

/** Of operations that take more than others. */
const BODY_BYTES_MAX: Record<string, number> = { 'configuration.apply': 16 * 1024 * 1024 };

/** How a code is asked for. `world` is fresh in each test. */
type Scenario = (declared: Declared, world: World) => Promise<Answer>;

const SCENARIOS: Record<string, Scenario> = {
	VALIDATION_ERROR: (declared, world) =>
		call(clientFor(declared, world), declared, world, { query: 'no_such_field=1' }),
	AUTHENTICATION_ERROR: (declared, world) => call(httpClient(server), declared, world),
	AUTHORIZATION_ERROR: (declared, world) =>
		FORBIDDEN[declared.operation.operationId]?.(declared, world) ??
		(isOperators(declared)
			? call(httpClient(server, { management: world.management }), declared, world)
			: call(httpClient(server, { key: world.powerless, user: 'owner' }), declared, world)),
	RATE_LIMIT_EXCEEDED: (declared, world) =>
		isOperators(declared)
			? call(httpClient(strict, { master: 'not the master key' }), declared, world)
			: call(world.exhausted.as('owner'), declared, world),
	PAYLOAD_TOO_LARGE: (declared, world) =>
		call(clientFor(declared, world), declared, world, {
			raw: `{"x":"${'x'.repeat(BODY_BYTES_MAX[declared.operation.operationId] ?? 262_144)}"}`,
		}),
	UNSUPPORTED_MEDIA_TYPE: (declared, world) =>
		call(clientFor(declared, world), declared, world, {
			raw: '{}',
			headers: { 'Content-Type': 'text/plain' },
		}),
	NOT_FOUND: (declared, world) =>
		call(
			clientFor(declared, world),
			declared,
			{ ...world, ...MISSING },
			MISSING_IN[declared.operation.operationId],
		),
	QUOTA_EXCEEDED: (declared, world) => call(spent.as('owner'), declared, world),
	PRECONDITION_FAILED: (declared, world) =>
		call(clientFor(declared, world), declared, world, { headers: { 'If-Match': '"4711"' } }),
};

/** Where there is more than one way to be in conflict, the one that is easiest to see. */
const CONFLICTS: Record<string, Scenario> = {
	'rooms.create': (declared, world) =>
		call(clientFor(declared, world), declared, world, {
			body: { type: 'group', members: ['a', 'b', 'c', 'd', 'e', 'f'] },
		}),
	'messages.send': async (declared, world) => {
		const send = (content: string) =>
			call(clientFor(declared, world), declared, world, { body: { content, client_msg_id: 'c' } });
		await send('first');
		return send('second');
	},
	'members.add': (declared, world) => call(world.tenant.as(), declared, inDm(world)),
	'members.update': (declared, world) => call(world.tenant.as(), declared, inDm(world)),
	'members.remove': (declared, world) => call(world.tenant.as(), declared, inDm(world)),
	'tokens.create': async (declared, world) => {
		await world.tenant.as().post('/users/bob/deactivate');
		return call(world.tenant.as(), declared, world);
	},
	'plans.delete': async (declared, world) => {
		await createTenant(server, { plan_id: world.plan_id });
		return call(clientFor(declared, world), declared, world);
	},
	'acks.send': (declared, world) =>
		call(world.tenant.as('owner'), declared, world, { body: { cursor: 'vvvvv00000000001' } }),
	'subscriptions.create': async (declared, world) => {
		await world.tenant.as('owner').post('/subscriptions', { topic: 'the-only-one' });
		return call(world.tenant.as('owner'), declared, world);
	},
	'events.list': (declared, world) =>
		call(world.tenant.as(), declared, world, { query: 'after=vvvvv00000000001' }),
};

/** The key came with another request: with that, it is any operation's conflict. */
const repeatedKey: Scenario = async (declared, world) => {
	const headers = { 'Idempotency-Key': 'used-before' };
	const client = clientFor(declared, world);
	const [path, body] = isOperators(declared)
		? ['/admin/plans', { name: 'First' }]
		: ['/rooms', { type: 'group', name: 'First' }];
	await client.post(path, body, headers);
	return call(client, declared, world, { headers });
};

const inDm = (world: World): World => ({ ...world, room_id: world.dm_id });

// Started here and not in a hook: the tests below are made from their document.
const server = await startServer({
	env: { AUTH_FAILURES_PER_MINUTE: '0', MAX_ROOM_MEMBERS: '5', MAX_SUBSCRIPTIONS_PER_USER: '1' },
});
/** Refuses the second bad credential of an address. */
const strict = await startServer({ env: { AUTH_FAILURES_PER_MINUTE: '1' } });
const { operations } = await openApiOf(server.url);

/** With no request left this month. */
const spent = await createTenant(server, { quotas: { api_requests_per_month: 1 } });

beforeAll(async () => {
	const isRefused = async () => (await spent.as('owner').get('/rooms')).status === 403;
	await eventually(isRefused, 10_000, 'the quota to be enforced');
	await httpClient(strict, { master: 'not the master key' }).get('/admin/tenants');
});

afterAll(async () => {
	expect(await Promise.all([server.stop(), strict.stop()])).toEqual([0, 0]);
});

for (const declared of operations) {
	const { operationId } = declared.operation;
	for (const code of codesOf(declared)) {
		const scenario = code === 'CONFLICT' ? conflictOf(declared) : SCENARIOS[code];
		if (scenario === undefined && code in ELSEWHERE) continue;
		test(`${operationId} answers ${code}`, async () => {
			if (scenario === undefined)
				throw new Error(`No scenario makes ${operationId} answer ${code}`);

			const answer = await scenario(declared, await createWorld());

			expect({ status: answer.status, code: errorOf(answer).code }).toEqual({
				status: answer.status,
				code,
			});
		});
	}
}

test('a full queue is UNAVAILABLE, with a wait, and loses nothing that was answered', async () => {
	const narrow: Server = await startServer({
		env: { WRITER_QUEUE_MAX: '1', DEFAULT_RATE_LIMIT: '0' },
	});
	const tenant = await createTenant(narrow);
	const { room_id } = await createGroup(tenant, 'owner');
	const path = `/rooms/${room_id}/messages`;

	const answers = await Promise.all(
		Array.from({ length: 50 }, (_, index) =>
			tenant.as('owner').post(path, { content: `${index}` }),
		),
	);

	const full = answers.filter(({ status }) => status === 503);
	const stored = answers.filter(({ status }) => status === 201);
	expect(full.length + stored.length).toBe(50);
	expect(full.length).toBeGreaterThan(0);
	for (const answer of full) {
		expect(errorOf(answer)).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
		expect(errorOf(answer).retry_after_ms).toBeGreaterThan(0);
		expect(Number(answer.headers.get('Retry-After'))).toBeGreaterThan(0);
	}
	const room = await tenant.as('owner').get<Room>(`/rooms/${room_id}`);
	expect(room.body.last_seq).toBe(stored.length);
	expect(await narrow.stop()).toBe(0);
});

test('an operation declares exactly the errors that its kind can meet', () => {
	expect(operations.length).toBeGreaterThan(15);
	for (const declared of operations) {
		const codes = new Set(codesOf(declared));
		const isVisitors = declared.operation.security?.length === 0;

		expect({ declared, has: codes.has('VALIDATION_ERROR') }).toEqual({ declared, has: true });
		expect(codes.has('AUTHENTICATION_ERROR')).toBe(!isVisitors);
		expect(codes.has('PAYLOAD_TOO_LARGE')).toBe(declared.operation.requestBody !== undefined);
	}
});

async function createWorld(): Promise<World> {
	const tenant = await createTenant(server);
	const exhausted = await createTenant(server, { rate_limit: { requests_per_minute: 1 } });
	await exhausted.as('owner').get('/rooms');
	const { api_key, key_id } = await createKey(tenant, ['webhooks:manage']);
	const { room_id } = await createGroup(tenant, 'owner', ['bob']);
	const dm = await tenant.as().post<Room>('/rooms', { type: 'dm', members: ['owner', 'bob'] });
	const { plan_id } = await createPlan(server);
	const management = await createManagementKey(server, plan_id);
	const ids = { key_id, room_id, dm_id: dm.body.room_id, plan_id, key: management.key };
	return { tenant, exhausted, powerless: api_key, management, ...ids };
}

function conflictOf(declared: Declared): Scenario | undefined {
	const own = CONFLICTS[declared.operation.operationId];
	const isRepeatable = declared.operation.parameters?.some(
		({ name }) => name === 'Idempotency-Key',
	);
	return own ?? (isRepeatable ? repeatedKey : undefined);
}

/** Each status names its codes in its description. */
function codesOf({ operation }: Declared): string[] {
	return Object.entries(operation.responses)
		.filter(([status]) => Number(status) >= 400)
		.flatMap(([, { description }]) => [...description.matchAll(/`([A-Z_]+)`:/g)])
		.map(([, code = '']) => code);
}

function isOperators({ operation }: Declared): boolean {
	return operation.security?.some((scheme) => 'MasterKey' in scheme) ?? false;
}

function clientFor(declared: Declared, { tenant }: World): HttpClient {
	if (isOperators(declared)) return operator(server);
	return isTenantsOwn(declared.operation) ? tenant.as() : tenant.as('owner');
}

interface Changes {
	query?: string;
	body?: unknown;
	raw?: string;
	headers?: Record<string, string>;
}

/** The operation's own example, with the ids of this world, and these changes. */
async function call(
	client: HttpClient,
	{ method, path, operation }: Declared,
	world: object,
	{ query, body, raw, headers = {} }: Changes = {},
): Promise<Answer> {
	const ids: Record<string, unknown> = { user_id: 'bob', tenant_id: tenantIdOf(world), ...world };
	const concrete = path.replace(/\{(\w+)\}/g, (_, name: string) => String(ids[name]));
	const example = operation.requestBody?.content['application/json']?.example;
	const withIds = Object.fromEntries(
		Object.entries({ ...(body ?? example ?? {}) }).map(([name, value]) => [
			name,
			name === 'room_id' ? ids.room_id : value,
		]),
	);
	const hasBody = operation.requestBody !== undefined;
	return client.call(method, query === undefined ? concrete : `${concrete}?${query}`, {
		headers,
		...(raw === undefined ? {} : { raw }),
		...(raw === undefined && hasBody ? { body: withIds } : {}),
		...(raw !== undefined && headers['Content-Type'] === undefined
			? { headers: { 'Content-Type': 'application/json' } }
			: {}),
	});
}

const tenantIdOf = (world: object) => ('tenant' in world ? (world as World).tenant.tenant_id : '');
