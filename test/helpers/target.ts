/**
 * The server that a suite is pointed at: any, by its address and a credential, or without an address
 * the binary, started for it. A suite sees what any client sees, on either.
 *
 * `CHATAPI_URL` with `CHATAPI_MASTER_KEY` makes tenants of its own. With `CHATAPI_API_KEY` it acts in
 * the tenant of that key, as users that nobody else has; what needs more is skipped, and says why.
 */
import { setDefaultTimeout, test } from 'bun:test';
import { type Answer, errorOf, type HttpClient } from './http.ts';
import type { Environment } from './server.ts';
import type { SocketOptions } from './socket.ts';
import { createTenant, type Operated, type TestTenant, tenantOf } from './tenants.ts';
import { useServer } from './use-server.ts';
import { within } from './wait.ts';

const { CHATAPI_URL, CHATAPI_MASTER_KEY, CHATAPI_API_KEY } = process.env;

/** The people of a test, under ids that no other test has. */
export type Cast = Readonly<Record<'alice' | 'bob' | 'carol' | 'mallory', string>>;

export interface Stage {
	readonly tenant: TestTenant;
	readonly who: Cast;
}

/** What a test needs beyond one tenant's key. */
export type Need =
	/** The master key: a second tenant, keys with fewer permissions, limits and origins of a tenant. */
	| 'operator'
	/** A server of its own: with other settings, or to be stopped. */
	| 'own server';

export interface Target {
	readonly server: Operated;
	/** A tenant to act in, of this test alone where that can be. */
	stage(settings?: Record<string, unknown>): Promise<Stage>;
}

/** As `npm test` has it: a suite may be run without it. */
const TEST_TIMEOUT_MS = 120_000;
/** Enough for any test of the suites but those that bring their own pace. */
const TOKENS_MIN = 100;
const TOKENS_DEADLINE_MS = 60_000;
/** Of a tenant of a test: a suite is faster than people are. */
const RATE_LIMIT = { requests_per_second: 1000, burst: 2000 };

/** What the suite was not given, in words; undefined when it has it. */
function missing(need: Need | undefined): string | undefined {
	if (CHATAPI_URL === undefined || need === undefined) return undefined;
	if (need === 'own server') return 'needs settings of its own; run it without CHATAPI_URL';
	return CHATAPI_MASTER_KEY === undefined ? 'needs CHATAPI_MASTER_KEY' : undefined;
}

/** `test` for what not every target can show: elsewhere it is skipped, with the reason in its name. */
export function testWith(
	need: Need | undefined,
	name: string,
	body: () => Promise<void>,
	timeoutMs?: number,
): void {
	const why = missing(need);
	if (why === undefined) test(name, body, timeoutMs);
	else test.skip(`${name} (skipped: ${why})`, body);
}

/** Whether the binary is started for the suite, with the settings that it asks for. */
export const isOwn = CHATAPI_URL === undefined;

/** The server of a suite's file. Without `CHATAPI_URL` it is started with these settings. */
export function useTarget(env: Environment = {}): Target {
	setDefaultTimeout(TEST_TIMEOUT_MS);
	const server = isOwn ? useOwn(env) : given(CHATAPI_URL ?? '');
	return {
		server,
		async stage(settings = {}) {
			return { tenant: await tenantFor(server, settings), who: createCast() };
		},
	};
}

/** A fresh tenant where tenants can be made, else the one whose key was given. */
async function tenantFor(server: Operated, settings: Record<string, unknown>) {
	if (isOwn || CHATAPI_MASTER_KEY !== undefined) {
		return createTenant(server, { rate_limit: RATE_LIMIT, ...settings });
	}
	if (CHATAPI_API_KEY === undefined) throw new Error('CHATAPI_URL wants a key beside it');
	const tenant = tenantOf(server, { tenant_id: '', api_key: CHATAPI_API_KEY });
	const pause = () =>
		within(refilled(tenant.as()), 'the tenant’s bucket to fill', TOKENS_DEADLINE_MS);
	await pause();
	return {
		...tenant,
		as: (user?: string) => patient(tenant.as(user)),
		async socket(user: string, options?: SocketOptions) {
			await pause();
			return tenant.socket(user, options);
		},
	};
}

/** Waits until the tenant may ask for something again: tests come one after the other. */
async function refilled(client: HttpClient): Promise<void> {
	for (;;) {
		const { headers } = await client.get('/events?limit=1');
		const [limit, remaining] = ['Limit', 'Remaining'].map((name) =>
			Number(headers.get(`X-RateLimit-${name}`) ?? Number.POSITIVE_INFINITY),
		);
		if (Number(remaining) >= Math.min(TOKENS_MIN, Number(limit) / 2)) return;
		await Bun.sleep(100);
	}
}

/** A client that asks again when it is told to wait: a tenant's own limit is no fault of the server. */
function patient(client: HttpClient): HttpClient {
	type Ask = (...input: unknown[]) => Promise<Answer>;
	const asks = Object.entries(client) as [string, Ask][];
	const patiently = async (ask: Ask, input: unknown[]): Promise<Answer> => {
		for (;;) {
			const answer = await ask(...input);
			if (answer.status !== 429) return answer;
			await Bun.sleep(errorOf(answer).retry_after_ms ?? 100);
		}
	};
	return Object.fromEntries(
		asks.map(([name, ask]) => [name, (...input: unknown[]) => patiently(ask, input)]),
	) as unknown as HttpClient;
}

function createCast(): Cast {
	const tail = crypto.randomUUID().slice(0, 8);
	return {
		alice: `alice-${tail}`,
		bob: `bob-${tail}`,
		carol: `carol-${tail}`,
		mallory: `mallory-${tail}`,
	};
}

function useOwn(env: Environment): Operated {
	const used = useServer(env);
	return {
		get url() {
			return used.server.url;
		},
		get masterKey() {
			return used.server.masterKey;
		},
	};
}

const given = (url: string): Operated => ({
	// Of what is no address, this says so.
	url: new URL(url).origin,
	get masterKey() {
		if (CHATAPI_MASTER_KEY !== undefined) return CHATAPI_MASTER_KEY;
		throw new Error('A test that needs the master key does not say so');
	},
});
