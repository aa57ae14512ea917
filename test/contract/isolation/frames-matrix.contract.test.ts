/**
 * Every frame type × every kind of caller with a socket × own, foreign and missing rooms, held
 * against the table in expected-frames.ts; and what a socket was ever sent is its own tenant's.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { openSocket, type Socket } from '../../helpers/socket.ts';
import { createKey } from '../../helpers/tenants.ts';
import { useServer } from '../../helpers/use-server.ts';
import type { Frame } from '../../helpers/wire.ts';
import { type Callers, createCallers } from './callers.ts';
import type { CallerName, Row } from './expected.ts';
import { BACKEND_FRAME_ROWS, FRAME_ROWS } from './expected-frames.ts';
import { FRAME_FIELDS, frameFor, type Subject } from './requests.ts';
import { createPlace, createTwins, snapshotOf } from './twins.ts';

const used = useServer({ WS_FRAMES_PER_SECOND: '0', DEFAULT_RATE_LIMIT: '0' });

const STATUS_OF: Readonly<Record<string, number>> = {
	VALIDATION_ERROR: 400,
	AUTHENTICATION_ERROR: 401,
	AUTHORIZATION_ERROR: 403,
	NOT_FOUND: 404,
	CONFLICT: 409,
};

let callers: Callers;
let subject: Subject;
const sockets = new Map<string, Socket>();
const FOREIGN_BACKEND = 'a backend of the other tenant';
const answers = new Map<string, Frame>();
/** Every foreign room that there was. */
const foreignRooms: string[] = [];

beforeAll(async () => {
	const twins = await createTwins(used.server);
	callers = await createCallers(used.server, twins);
	const { key_id } = await createKey(twins.own.tenant, ['send']);
	const place = await createPlace(twins);
	const keys = { own: key_id, foreign: key_id };
	// No frame is about management credentials.
	subject = { twins, place, keys, managementKeys: keys };
	foreignRooms.push(place.foreign);
	// Both tenants have backends, else nothing would be published to a topic that they share.
	const key = twins.foreign.tenant.api_key;
	sockets.set(FOREIGN_BACKEND, await openSocket(used.server, { key }));
});

async function freshPlace(): Promise<void> {
	const place = await createPlace(subject.twins);
	subject = { ...subject, place };
	foreignRooms.push(place.foreign);
}

/** One socket per caller, but for who lacks a permission: that depends on the frame. */
async function socketOf(caller: CallerName, type: string): Promise<Socket> {
	const name = caller === 'lac' ? `lac ${type}` : caller;
	const open = sockets.get(name);
	if (open !== undefined) return open;
	const socket = await openSocket(
		used.server,
		caller === 'tic'
			? { query: `token=${await callers.ticket()}` }
			: { headers: callers.headersOf(caller, type) },
	);
	sockets.set(name, socket);
	return socket;
}

/** The types that the server itself names to who sends another one. */
async function knownTypes(): Promise<string[]> {
	const socket = await socketOf('own', 'ping');
	const error = await socket.request<{ message: string }>({ type: 'no.such.type' });
	const [, list = ''] = /Must be one of: (.*)$/.exec(error.message) ?? [];
	return list.split(', ').sort();
}

test('every frame type that the server knows has its rows and its fields', async () => {
	const types = await knownTypes();

	expect(types.length).toBeGreaterThan(4);
	for (const rows of [FRAME_ROWS, BACKEND_FRAME_ROWS]) {
		expect([...new Set(rows.map((row) => row.subject))].sort()).toEqual(types);
	}
	expect(Object.keys(FRAME_FIELDS).sort()).toEqual(types);
	for (const type of types) {
		const isAboutRoom = 'room_id' in (FRAME_FIELDS[type] ?? {});
		for (const rows of [FRAME_ROWS, BACKEND_FRAME_ROWS]) {
			const targets = rows.filter((row) => row.subject === type).map(({ target }) => target);
			expect(targets).toEqual(isAboutRoom ? ['own', 'foreign', 'missing'] : ['own']);
		}
	}
});

// Backends first: they are there for all that happens afterwards.
for (const row of [...BACKEND_FRAME_ROWS, ...FRAME_ROWS]) {
	const whom = BACKEND_FRAME_ROWS.includes(row) ? 'backend sockets' : 'every caller';
	test(`${row.subject} of ${row.target}: as declared for ${whom}`, async () => {
		const outcomes: Record<string, number | undefined> = {};
		for (const [caller, status] of row.expected) {
			outcomes[caller] = status === undefined ? undefined : await ask(row, caller);
		}

		expect(outcomes).toEqual(Object.fromEntries(row.expected));
	});
}

/** Sends the frame and returns its outcome as a status; looks at what it must not have changed. */
async function ask(row: Row, caller: CallerName): Promise<number> {
	const { twins, place } = subject;
	const socket = await socketOf(caller, row.subject);
	const snapshots = async () => ({
		own: await snapshotOf(twins.own, place.own),
		foreign: await snapshotOf(twins.foreign, place.foreign),
	});
	const before = await snapshots();
	const answer = await socket.request<{ code?: string }>(
		frameFor(row.subject, row.target, subject),
	);
	const after = await snapshots();

	const { request_id, ...rest } = answer;
	answers.set(`${row.subject} ${row.target} ${caller}`, rest);
	const isDone = answer.type === 'reply';
	const changer = caller === 'twi' ? 'foreign' : 'own';
	for (const side of ['own', 'foreign'] as const) {
		if (isDone && side === changer) continue;
		const what = `${row.subject} ${row.target} ${caller} (${request_id})`;
		expect({ what, side, state: after[side] }).toEqual({ what, side, state: before[side] });
	}
	if (isDone && row.subject in FRAME_FIELDS && 'room_id' in (FRAME_FIELDS[row.subject] ?? {})) {
		await freshPlace();
	}
	return isDone ? 200 : (STATUS_OF[String(answer.code)] ?? 0);
}

for (const row of BACKEND_FRAME_ROWS.filter(({ target }) => target === 'foreign')) {
	test(`nor by the answer of ${row.subject} to a backend socket`, () => {
		const told = (target: string) => JSON.stringify(answers.get(`${row.subject} ${target} ten`));
		expect(told('foreign')).toBe(told('missing'));
		expect(told('missing')).toMatch(/NOT_FOUND|Missing X-User-Id/);
	});
}

for (const row of FRAME_ROWS.filter(({ target }) => target === 'foreign')) {
	test(`a foreign and a missing room cannot be told apart by the answer to ${row.subject}`, () => {
		const told = (target: string, caller: string) =>
			JSON.stringify(answers.get(`${row.subject} ${target} ${caller}`));
		for (const [caller, status] of row.expected) {
			if (caller === 'twi' || status === undefined) continue;
			expect(told('foreign', caller)).toBe(told('missing', caller));
		}
		expect(told('own', 'out')).toBe(told('missing', 'out'));
		expect(told('missing', 'own')).toContain('NOT_FOUND');
	});
}

test('no socket was sent a byte of the other tenant', async () => {
	const { own, foreign } = subject.twins;
	const marksOf = { own: ['ALPHA', own.tenant.tenant_id], foreign: ['BRAVO', ...foreignRooms] };
	let scanned = 0;
	for (const [caller, socket] of sockets) {
		await socket.settle();
		const isForeign = caller === 'twi' || caller === FOREIGN_BACKEND;
		const others = isForeign ? marksOf.own : [...marksOf.foreign, foreign.tenant.tenant_id];
		const text = JSON.stringify(socket.frames);
		scanned += socket.frames.length;
		expect({ caller, seen: others.filter((mark) => text.includes(mark)) }).toEqual({
			caller,
			seen: [],
		});
	}
	expect(scanned).toBeGreaterThan(200);
	// The scan can see: each side was sent its own marker.
	expect(JSON.stringify(sockets.get('twi')?.frames)).toContain('BRAVO');
	expect(JSON.stringify(sockets.get('own')?.frames)).toContain('ALPHA');
	// A backend follows all of its tenant, so it would see most.
	expect(JSON.stringify(sockets.get('ten')?.frames)).toContain('ALPHA');
	expect(sockets.get('evt')?.frames.length).toBeGreaterThan(100);
	expect(JSON.stringify(sockets.get(FOREIGN_BACKEND)?.frames)).toContain('BRAVO');
});

afterAll(async () => {
	for (const socket of sockets.values()) await socket.close();
});
