/**
 * Every operation × every kind of caller × own, foreign and missing things, held against the table
 * in expected.ts; and whatever came of it, nothing changed in the other tenant.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type Answer, errorOf, httpClient } from '../../helpers/http.ts';
import { type Declared, openApiOf } from '../../helpers/openapi.ts';
import { upgradeAnswer } from '../../helpers/raw-http.ts';
import {
	createKey,
	createManagementKey,
	operator,
	type TestTenant,
} from '../../helpers/tenants.ts';
import { useServer } from '../../helpers/use-server.ts';
import { CALLER_NAMES, type Callers, createCallers } from './callers.ts';
import { BACKEND_ROWS, type CallerName, HTTP_ROWS, type Row } from './expected.ts';
import { PERMISSION_OF } from './permissions.ts';
import { requestFor, type Subject } from './requests.ts';
import { createPlace, createTwins, snapshotOf } from './twins.ts';

/** High enough never to be met, and there, so that its headers are. */
const used = useServer({ DEFAULT_RATE_LIMIT: '100000' });

const REQUEST_ID = 'the-same-for-all';

let operations: Map<string, Declared>;
let callers: Callers;
let subject: Subject;
/** Whether a request changed the place, so that the next one needs another. */
let isSpent = false;
/** What the place was seen to hold last; undefined for one that was not looked at. */
let lastSeen: Record<'own' | 'foreign', string> | undefined;
/** What was answered, by operation, target and caller, for `foreign` and `missing` to be compared. */
const answers = new Map<string, Answer>();

beforeAll(async () => {
	const declared = (await openApiOf(used.server.url)).operations;
	operations = new Map(declared.map((each) => [each.operation.operationId, each]));
	const twins = await createTwins(used.server);
	callers = await createCallers(used.server, twins);
	subject = await subjectOf(twins);
});

const subjectOf = async (twins: Subject['twins']): Promise<Subject> => ({
	twins,
	place: await createPlace(twins),
	keys: await keysOf(twins),
	managementKeys: {
		own: (await createManagementKey(used.server, twins.own.plan_id)).key,
		foreign: (await createManagementKey(used.server, twins.foreign.plan_id)).key,
	},
});

async function keysOf({ own, foreign }: Subject['twins']): Promise<Subject['keys']> {
	const [{ key_id }, other] = [
		await createKey(own.tenant, ['send']),
		await createKey(foreign.tenant, ['send']),
	];
	return { own: key_id, foreign: other.key_id };
}

async function freshSubject(): Promise<Subject> {
	if (!isSpent) return subject;
	const { twins, keys } = subject;
	// A tenant may have so many keys only.
	await revoke(twins.own.tenant, keys.own);
	await revoke(twins.foreign.tenant, keys.foreign);
	subject = await subjectOf(twins);
	isSpent = false;
	lastSeen = undefined;
	return subject;
}

/** Takes a key away, unless the request that was made has done so. */
async function revoke({ tenant_id }: TestTenant, key: string): Promise<void> {
	const answer = await operator(used.server).delete(`/admin/tenants/${tenant_id}/api-keys/${key}`);
	expect(answer.status).toBeOneOf([200, 204, 404]);
}

test('every operation has its rows, and every row its operation and callers', () => {
	const inTable = [...new Set(HTTP_ROWS.map((row) => row.subject))].sort();
	expect(inTable).toEqual([...operations.keys()].sort());
	const backends = [...(BACKEND_ROWS[0]?.expected.keys() ?? [])];
	const others = CALLER_NAMES.filter((name) => !backends.includes(name));
	expect(backends).toHaveLength(2);
	for (const { expected } of HTTP_ROWS) expect([...expected.keys()]).toEqual(others);
});

test('every operation with a thing in its path or body has rows of all of own, foreign and missing', () => {
	for (const [name, { path, operation }] of operations) {
		const body = operation.requestBody?.content['application/json']?.example ?? {};
		const isAboutThing = path.includes('{') || 'room_id' in (body as object);
		if (!isAboutThing) continue;
		const targets = HTTP_ROWS.filter((row) => row.subject === name).map(({ target }) => target);
		const kinds = new Set(targets.map((target) => target.split('_')[0]));
		expect({ name, kinds: [...kinds].sort() }).toEqual({
			name,
			kinds: ['foreign', 'missing', 'own'],
		});
	}
});

test('the document names the permission that the table names', () => {
	for (const [name, { operation }] of operations) {
		const stated = (operation as { 'x-permission'?: string })['x-permission'];
		expect({ name, permission: stated }).toEqual({ name, permission: PERMISSION_OF[name] });
	}
});

for (const row of [...HTTP_ROWS, ...BACKEND_ROWS]) {
	const whom = BACKEND_ROWS.includes(row) ? 'backends' : 'every caller';
	test(`${row.subject} of ${row.target}: as declared for ${whom}`, async () => {
		const declared = operations.get(row.subject);
		if (declared === undefined) throw new Error('No such operation');

		const outcomes: Record<string, number> = {};
		for (const caller of row.expected.keys()) {
			const answer = await ask(declared, row, caller);
			answers.set(`${row.subject} ${row.target} ${caller}`, answer);
			outcomes[caller] = answer.status;
			if (answer.status >= 400) expect(errorOf(answer).code).toBe(CODES[answer.status] ?? '');
		}

		expect(outcomes).toEqual(Object.fromEntries(row.expected) as Record<string, number>);
	});
}

const CODES: Readonly<Record<number, string>> = {
	400: 'VALIDATION_ERROR',
	401: 'AUTHENTICATION_ERROR',
	403: 'AUTHORIZATION_ERROR',
	404: 'NOT_FOUND',
	409: 'CONFLICT',
};

/**
 * Asks as this caller; what it must not have changed is looked at before and after. What was seen after
 * one refusal is what was there before the next: reads in between must not have changed it either.
 */
async function ask(declared: Declared, row: Row, caller: CallerName): Promise<Answer> {
	const fresh = await freshSubject();
	const { twins } = fresh;
	const { method, path, body } = requestFor(declared, row.target, fresh);
	const headers = { ...callers.headersOf(caller, row.subject), 'X-Request-Id': REQUEST_ID };
	if (row.subject === 'connections.open') {
		const query = caller === 'tic' ? `?token=${await callers.ticket()}` : '';
		return upgradeAnswer(used.server, headers, path + query);
	}
	const call = () =>
		httpClient(used.server).call(method, path, {
			headers,
			...(body === undefined ? {} : { body }),
		});
	if (method === 'GET') return call();

	const before = lastSeen ?? (await snapshots());
	const answer = await call();
	if (row.subject in UNDONE_BY && answer.status < 300) await undo(row.subject, path);
	const after = await snapshots();
	lastSeen = after;
	isSpent = answer.status < 300;
	const changer = caller === 'twi' || caller === 'mao' ? 'foreign' : 'own';
	const what = `${row.subject} ${row.target} ${caller}`;
	for (const side of ['own', 'foreign'] as const) {
		if (answer.status < 300 && side === changer) continue;
		expect({ what, side, state: after[side] }).toEqual({ what, side, state: before[side] });
	}
	if (row.subject === 'rooms.create' && answer.status === 201) twins[changer].rooms++;
	return answer;
}

/** What would leave the tenant unusable to the callers that come after, and what undoes it. */
const UNDONE_BY: Readonly<Record<string, string>> = {
	'tenants.suspend': 'resume',
	'tenants.delete': 'restore',
};

async function undo(operation: string, path: string): Promise<void> {
	const tenant = path.split('/').slice(0, 4).join('/');
	const back = `${tenant}/${UNDONE_BY[operation]}`;
	expect((await operator(used.server).post(back)).status).toBe(200);
}

async function snapshots(): Promise<Record<'own' | 'foreign', string>> {
	const { twins, place } = subject;
	const [own, foreign] = await Promise.all([
		snapshotOf(twins.own, place.own),
		snapshotOf(twins.foreign, place.foreign),
	]);
	return { own, foreign };
}

describe('what is foreign and what is missing', () => {
	for (const row of HTTP_ROWS.filter(({ target }) => target.startsWith('foreign'))) {
		test(`cannot be told apart by the answer of ${row.subject} (${row.target})`, () => {
			const missing = row.target.replace('foreign', 'missing');
			let compared = 0;
			for (const [caller, status] of row.expected) {
				const foreignAnswer = answers.get(`${row.subject} ${row.target} ${caller}`);
				const missingAnswer = answers.get(`${row.subject} ${missing} ${caller}`);
				if (caller === 'twi' || caller === 'mao' || status === undefined || status < 400) continue;
				// All plans are the operator's own: that one has tenants is no secret.
				if (row.subject === 'plans.delete' && status === 409) continue;
				compared++;
				expect({ caller, ...seen(foreignAnswer) }).toEqual({ caller, ...seen(missingAnswer) });
			}
			expect(compared).toBeGreaterThan(10);
		});
	}

	for (const name of new Set(HTTP_ROWS.map((row) => row.subject))) {
		const row = HTTP_ROWS.find((each) => each.subject === name && each.target === 'own');
		if (row?.expected.get('out') !== 404) continue;
		test(`nor can a room of others from a missing one: ${name}`, () => {
			expect(seen(answers.get(`${name} own out`))).toEqual(
				seen(answers.get(`${name} missing out`)),
			);
		});
	}
});

/** All that a client gets to see, but for the date and how much of the rate limit is left. */
function seen(answer: Answer | undefined) {
	if (answer === undefined) throw new Error('This was never asked');
	const headers = [...answer.headers].map(([name, value]) => {
		const moves = /^(date|ratelimit|x-ratelimit-(remaining|reset))$/i.test(name);
		return [name, moves ? '' : value];
	});
	return { status: answer.status, headers, text: answer.text };
}

afterAll(() => {
	answers.clear();
});
