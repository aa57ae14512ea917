/**
 * Who has used up a quota is refused, alone or with all of its plan. Tenants beside it, with the same users and the
 * same quotas, go on; nothing of it is in what they are shown, told or charged with.
 */
import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf } from '../../helpers/http.ts';
import type { Socket } from '../../helpers/socket.ts';
import {
	createGroup,
	createPlan,
	createTenant,
	operator,
	sendMessage,
	type TestTenant,
} from '../../helpers/tenants.ts';
import { useServer } from '../../helpers/use-server.ts';
import { eventually } from '../../helpers/wait.ts';
import type { EventsPage } from '../../helpers/wire.ts';

const used = useServer({ DEFAULT_RATE_LIMIT: '0' });

interface Usage {
	messages_sent: number;
	active_users: number;
	api_requests: number;
	storage_bytes: number;
}

/** What uses up a quota, and who is refused then. */
interface Kind {
	quota: string;
	limit: number;
	/** Uses so much that twice as much fits in the limit. */
	touch(one: Tenant): Promise<unknown>;
	/** Uses the limit up. */
	spend(one: Tenant): Promise<unknown>;
	/** What is refused then. Leaves nothing behind but its count. */
	act(one: Tenant): Promise<{ status: number; headers: Headers; body: unknown; text: string }>;
	/** Waits until what was used is written where a pool finds that of who is not at work. */
	settle?(one: Tenant): Promise<unknown>;
	/** Of the quota, as the operator is told it or the test knows it. */
	countOf(one: Tenant): Promise<number>;
	/** So much a look at it may add for each tenant: a request, the row of a warning. */
	slack: number;
	/** Whether the tenant may read its events when nothing is left. */
	isReadable: boolean;
}

interface Tenant {
	tenant: TestTenant;
	plan_id: string | null;
	sockets: Socket[];
}

const usageOf = async ({ tenant }: Tenant): Promise<Usage> => {
	const path = `/admin/tenants/${tenant.tenant_id}/usage`;
	return bodyOf(await operator(used.server).get<Usage>(path), 200);
};

const seen = async ({ tenant }: Tenant, user: string) =>
	bodyOf(await tenant.as(user).get('/rooms'), 200);

/** What a client sends that wants a socket, over HTTP: nothing is opened where it is refused. */
const UPGRADE = {
	Connection: 'Upgrade',
	Upgrade: 'websocket',
	'Sec-WebSocket-Version': '13',
	'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

async function open(one: Tenant, count: number): Promise<void> {
	for (let opened = 0; opened < count; opened++) one.sockets.push(await one.tenant.socket('ann'));
}

/** Opens a socket and closes it again; or what it was answered. */
async function tryToOpen({ tenant }: Tenant): ReturnType<Kind['act']> {
	const socket = await tenant.socket('ann').catch(() => undefined);
	if (socket === undefined) return tenant.as('ann').get('/ws', UPGRADE);
	await socket.close();
	return { status: 101, headers: new Headers(), body: undefined, text: '' };
}

const rooms = new Map<TestTenant, string>();
async function roomOf(tenant: TestTenant): Promise<string> {
	const room_id = rooms.get(tenant) ?? (await createGroup(tenant, 'ann')).room_id;
	rooms.set(tenant, room_id);
	return room_id;
}

async function say({ tenant }: Tenant, messages: number, content = 'x'): Promise<void> {
	const room_id = await roomOf(tenant);
	for (let sent = 0; sent < messages; sent++) await sendMessage(tenant, 'ann', room_id, content);
}

const sayMore = async ({ tenant }: Tenant) =>
	tenant.as('ann').post(`/rooms/${await roomOf(tenant)}/messages`, { content: 'x' });

const LONG = 'x'.repeat(12_000);

async function noteStorage({ plan_id }: Tenant): Promise<void> {
	const path = `/admin/plans/${plan_id}/usage`;
	await eventually(async () => {
		const { storage_bytes } = bodyOf(await operator(used.server).get<Usage>(path), 200);
		return storage_bytes > LONG.length;
	}, 20_000);
}

/** Storage is the first: who has used up that is the server's oldest tenant. */
const KINDS: readonly Kind[] = [
	{
		quota: 'storage_bytes',
		limit: 70_000,
		touch: (one) => say(one, 1, LONG),
		spend: (one) => say(one, 6, LONG),
		settle: noteStorage,
		act: sayMore,
		countOf: async (one) => (await usageOf(one)).storage_bytes,
		slack: 2000,
		isReadable: true,
	},
	{
		quota: 'monthly_active_users',
		limit: 5,
		touch: (one) => seen(one, 'ann'),
		spend: async (one) => {
			for (const user of ['ann', 'bob', 'cat', 'dan', 'eve']) await seen(one, user);
		},
		// Who has acted in every tenant that may: new to those that may not.
		act: ({ tenant }) => tenant.as('zoe').get('/rooms'),
		countOf: async (one) => (await usageOf(one)).active_users,
		slack: 0,
		isReadable: true,
	},
	{
		quota: 'peak_connections',
		limit: 4,
		touch: (one) => open(one, 1),
		spend: (one) => open(one, 4),
		act: tryToOpen,
		countOf: async ({ sockets }) => sockets.length,
		slack: 0,
		isReadable: true,
	},
	{
		quota: 'api_requests_per_month',
		limit: 60,
		touch: (one) => seen(one, 'ann'),
		spend: async (one) => {
			for (let asked = 0; asked < 60; asked++) await seen(one, 'ann');
		},
		act: ({ tenant }) => tenant.as('ann').get('/rooms'),
		countOf: async (one) => (await usageOf(one)).api_requests,
		slack: 1,
		isReadable: false,
	},
	{
		quota: 'messages_per_month',
		limit: 20,
		touch: (one) => say(one, 1),
		// Exact, so that another's of the same pool are taken off.
		spend: async (one) => {
			for (let sent = 0; sent <= 20 && (await sayMore(one)).status === 201; sent++);
		},
		act: sayMore,
		countOf: async (one) => (await usageOf(one)).messages_sent,
		slack: 0,
		isReadable: true,
	},
];

/**
 * Tenants with the same quotas, made so that each kind stands before and behind one that has used up its own. That one
 * is the first: where a statement forgets its tenant, the oldest rows come up first.
 */
async function createCast({ quota, limit }: Kind) {
	const { server } = used;
	const own = { [quota]: limit };
	const planOf = async (most: number) =>
		(await createPlan(server, { quotas: { [quota]: most } })).plan_id;
	const [beside, calm, pool, wide, narrow] = [
		await planOf(limit),
		await planOf(limit),
		await planOf(limit),
		await planOf(limit * 20),
		await planOf(limit),
	];
	const make = async (plan_id: string | null, quotas: object | null = null): Promise<Tenant> => ({
		tenant: await createTenant(server, { plan_id, quotas }),
		plan_id,
		sockets: [],
	});
	const spender = await make(null, own);
	// Never at work.
	await make(calm);
	return {
		/** Uses up its own. */
		spender,
		/** With the same quota, of its own or of its plan, and nothing used up. */
		before: await make(null, own),
		neighbour: await make(beside),
		free: await make(null),
		/** Uses up that of its plan, and the other one feels it. */
		greedy: await make(pool),
		sharer: await make(pool),
		/** Uses up its part of a pool that has more; of the others in it one has a part and one has none. */
		part: await make(wide, own),
		otherPart: await make(wide, own),
		noPart: await make(wide),
		/** May use more than there is in its pool. */
		overPart: await make(narrow, { [quota]: limit * 10 }),
		after: await make(null, own),
		/** Not at work before others have used up theirs. */
		late: await make(calm),
	};
}

type Cast = Awaited<ReturnType<typeof createCast>>;
/** Whose quota refuses them. */
const REFUSED: Readonly<Partial<Record<keyof Cast, string>>> = {
	spender: 'tenant',
	greedy: 'plan',
	sharer: 'plan',
	part: 'tenant',
	overPart: 'plan',
};

/** Those with a quota of their own. */
const OWN: readonly (keyof Cast)[] = [
	'spender',
	'before',
	'part',
	'otherPart',
	'overPart',
	'after',
];

interface Shown {
	name: string;
	scope: string;
	limit: number;
	used: number;
}

/** What the tenant is shown of its quotas, once all that it has used is written. */
async function shownTo(one: Tenant): Promise<Shown[]> {
	await usageOf(one);
	const answer = await one.tenant.as().get<{ quotas: Shown[] }>('/limits');
	return bodyOf(answer, 200).quotas;
}

describe.each(KINDS.map((kind) => [kind.quota, kind] as const))('%s', (quota, kind) => {
	let cast: Cast;
	const all = () => Object.entries(cast) as [keyof Cast, Tenant][];

	/** Refused, by whose quota; or let through. */
	async function fateOf(one: Tenant): Promise<string> {
		const answer = await kind.act(one);
		if (answer.status !== 403) return answer.status < 300 ? 'may' : `was answered ${answer.status}`;
		const { code, message } = errorOf(answer);
		const [, whose] = /of this tenant('s plan)? is used up/.exec(message) ?? [];
		return `${code} ${message.includes(quota) ? quota : message} ${whose ? 'plan' : 'tenant'}`;
	}

	async function fates(): Promise<Record<string, string>> {
		const found: Record<string, string> = {};
		for (const [name, one] of all()) {
			await shownTo(one);
			found[name] = await fateOf(one);
		}
		return found;
	}

	test('that is used up refuses its own tenant or its own plan, and nobody beside', async () => {
		const { limit, touch, spend, settle } = kind;
		cast = await createCast(kind);
		for (const [, one] of all()) if (one !== cast.late) await touch(one);
		for (const one of [cast.spender, cast.greedy, cast.part, cast.overPart]) await spend(one);
		await settle?.(cast.greedy);
		await touch(cast.late);
		const expected = Object.fromEntries(
			all().map(([name]) => {
				const scope = REFUSED[name];
				return [name, scope === undefined ? 'may' : `QUOTA_EXCEEDED ${quota} ${scope}`];
			}),
		);

		// The two of the pool; whoever is asked for later is looked at then.
		const isOver = async (one: Tenant) => (await shownTo(one)).every(({ used }) => used >= limit);
		await eventually(() => isOver(cast.greedy), 10_000, 'the pool to be used up');
		await eventually(() => isOver(cast.sharer), 10_000, 'the pool to be used up');
		expect(await fates()).toEqual(expected);
		expect(await fates()).toEqual(expected);
	}, 60_000);

	const fellowsOf = (one: Tenant) =>
		one.plan_id === null
			? []
			: all().flatMap(([, each]) => (each.plan_id === one.plan_id ? [each] : []));

	/** Holds what one is shown against what the operator is told of it and of its plan's tenants. */
	async function expectTruth(one: Tenant, shown: readonly Shown[]): Promise<void> {
		for (const { scope, used, limit } of shown) {
			const drawing = scope === 'tenant' ? [one] : fellowsOf(one);
			let count = 0;
			for (const each of drawing) count += await kind.countOf(each);
			expect(Math.abs(used - count)).toBeLessThanOrEqual(kind.slack * drawing.length);
			const isOver = drawing.some((each) => isRefused(each));
			if (limit === kind.limit) expect(used >= limit).toBe(isOver);
		}
	}
	const isRefused = (one: Tenant) =>
		all().some(([name, each]) => each === one && Object.hasOwn(REFUSED, name));

	test('shows each tenant what it and its plan have used, and the operator the same', async () => {
		for (const [name, one] of all()) {
			const scopes = [
				...(OWN.includes(name) ? [`${quota} tenant`] : []),
				...(one.plan_id === null ? [] : [`${quota} plan`]),
			];
			await eventually(async () => {
				// What a pool has of each is as of when that one was looked at last.
				for (const each of fellowsOf(one)) await shownTo(each);
				const shown = await shownTo(one);

				expect(shown.map((each) => `${each.name} ${each.scope}`)).toEqual(scopes);
				await expectTruth(one, shown);
				return true;
			}, 10_000);
		}
	}, 60_000);

	test('warns those that it is used up for, each once, and nobody beside', async () => {
		for (const [name, one] of all()) {
			const scope = REFUSED[name];
			if (scope !== undefined && !kind.isReadable) continue;
			const { events } = bodyOf(await one.tenant.as().get<EventsPage>('/events?limit=100'), 200);
			const warnings = events.filter(({ type }) => type === 'quota.warning');
			const told = warnings.map(
				({ quota: of, scope: whose, percent }) => `${of} ${whose} ${percent}`,
			);
			// 80 may have come before.
			expect({ name, told: told.filter((each) => !each.endsWith(' 80')) }).toEqual({
				name,
				told: scope === undefined ? [] : [`${quota} ${scope} 100`],
			});
			expect(new Set(told).size).toBe(told.length);
			if (scope === undefined) expect(told).toEqual([]);
		}
		for (const [, { sockets }] of all()) await Promise.all(sockets.map((socket) => socket.close()));
	}, 60_000);
});
