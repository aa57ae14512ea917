/**
 * What presence costs, each figure beside one of the same run: `bun test/bench/presence.ts`.
 *
 * The real parts of a server over a real database, without its faces; sockets are objects that count
 * what they are sent. Connect: adding and removing a socket, with the watch of presence and without it.
 * Telling: one change of a user in 200 rooms, against reading those rooms, as every connect does. Storm: how
 * long sends take while 5,000 users connect, with the worker and without it.
 */
import { Database } from 'bun:sqlite';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createContainer } from '../../src/app/container.ts';
import { databasePath } from '../../src/app/persistence.ts';
import { readSettings } from '../../src/config/settings.ts';
import type { UserCaller } from '../../src/core/caller.ts';
import { systemClock } from '../../src/core/clock.ts';
import type { UserId } from '../../src/core/ids.ts';
import { createLog } from '../../src/core/log.ts';
import { systemRandom } from '../../src/core/random.ts';
import { migrateDatabase } from '../../src/db/migrate.ts';
import { createPresenceWorker } from '../../src/features/presence/worker.ts';
import { type Connection, createConnections } from '../../src/realtime/connections.ts';

const ROOMS = 200;
const STORM = 5000;
const ROUNDS = 9;
const STORMS = 5;
const noPace = async () => {};

const median = (values: readonly number[]): number =>
	[...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const quantile = (values: readonly number[], part: number): number =>
	[...values].sort((a, b) => a - b)[Math.floor(values.length * part)] ?? Number.NaN;

const folder = mkdtempSync(join(tmpdir(), 'chatapi-presence-bench-'));
const settings = readSettings({ DATA_DIR: folder, DEFAULT_RATE_LIMIT: '0' }, () => '');
const path = databasePath(folder);
migrateDatabase(path, join(folder, 'backups'), systemClock.now());
const container = createContainer({
	settings,
	secretsKey: undefined,
	masterKey: 'x'.repeat(32),
	version: '0.0.0',
	clock: systemClock,
	random: systemRandom,
	log: createLog('error', { write: (line) => process.stderr.write(line) }),
	isDraining: () => false,
	onFatal: (error) => {
		throw error;
	},
});
const { features, connections, presenceRegistry, lastSeen } = container;
const { presence } = features;
const filling = new Database(path);
let frames = 0;

/** A tenant with nothing in it, and its callers. */
async function createCallers(): Promise<(user: string) => UserCaller> {
	const operator = { kind: 'operator', credential: 'master', plan: null, request_id: 'req_bench' };
	const made = await features.tenants.create(operator as never, { name: 'Bench' });
	const headers = new Headers({ 'X-API-Key': made.api_key });
	const { caller } = await container.authentication.tenant(headers, () => '');
	return (user) => ({ ...caller, user_id: user as UserId });
}

/** Puts rooms into the file as the server would have made them; `membersOf` names who is in each. */
function fill({ tenant }: UserCaller, rooms: number, membersOf: (room: number) => string[]): void {
	const room_id = (room: number) => `room_${String(room).padStart(26, '0')}`;
	const insert = filling.transaction(() => {
		for (let room = 1; room <= rooms; room++) {
			const members = membersOf(room);
			filling.run(
				`INSERT INTO rooms (tenant, room, room_id, type, created_at) VALUES (?, ?, ?, 'group', 1)`,
				[tenant, room, room_id(room)],
			);
			filling.run('INSERT INTO room_heads VALUES (?, ?, 0, 0, 0, ?)', [
				...[tenant, room, members.length],
			]);
			for (const user_id of members) {
				filling.run(
					`INSERT INTO memberships
						(tenant, room, user_id, role, joined_at, joined_cursor, hidden_cursor)
					VALUES (?, ?, ?, 'member', 1, 0, 0)`,
					[tenant, room, user_id],
				);
				filling.run('INSERT INTO positions VALUES (?, ?, ?, 0, 0, 0)', [tenant, room, user_id]);
			}
		}
		filling.run('UPDATE tenant_heads SET last_room = ? WHERE tenant = ?', [rooms, tenant]);
	});
	insert();
}

function socketOf({ tenant, tenant_id, user_id, key_id }: UserCaller): Connection {
	return {
		connection_id: '',
		...{ tenant, tenant_id, user_id, key_id },
		isLive: true,
		subscribe() {},
		unsubscribe() {},
		isSubscribed: () => false,
		send(frame) {
			frames++;
			return frame.length;
		},
		sendSoon() {},
		close() {},
		bufferedBytes: () => 0,
		topics: new Set(),
		regrant() {},
		countBadFrame() {},
	};
}

function row(what: string, ours: number, reference: number, unit: string, more = ''): void {
	const ratio = (ours / reference).toFixed(2);
	const [a, b] = [ours, reference].map((value) => value.toPrecision(3));
	console.log(`${what}: ratio ${ratio} (${a} against ${b} ${unit})${more}`);
}

async function settle(): Promise<void> {
	while (await presence.tellNext(noPace));
	await lastSeen.flush(noPace);
}

/** A first socket that opens and goes, against the same without anybody who watches. */
async function measureConnects(): Promise<void> {
	const as = await createCallers();
	const sockets = Array.from({ length: STORM }, (_, index) => socketOf(as(`c${index}`)));
	const bare = createConnections();
	const [watched, plain]: [number[], number[]] = [[], []];
	for (let round = 0; round < ROUNDS; round++) {
		for (const [registry, times] of [
			[connections, watched],
			[bare, plain],
		] as const) {
			const startedAt = performance.now();
			for (const socket of sockets) registry.add(socket);
			for (const socket of sockets) registry.remove(socket);
			times.push(((performance.now() - startedAt) * 1000) / STORM);
		}
		await settle();
	}
	row('a connect and leave, noted', median(watched), median(plain), 'µs');
}

/** One change of a user in 200 rooms, against reading the rooms. Members come from a pool, half of it online. */
async function measureTelling(members: number, pool: number): Promise<void> {
	const as = await createCallers();
	const me = as('me');
	const others = (room: number) =>
		Array.from({ length: members - 1 }, (_, index) => `u${(room * (members - 1) + index) % pool}`);
	fill(me, ROOMS, (room) => ['me', ...new Set(others(room))]);
	for (let index = 0; index < pool; index += 2) connections.add(socketOf(as(`u${index}`)));
	while (presenceRegistry.take() !== undefined);
	const [told, read]: [number[], number[]] = [[], []];
	let count = 0;
	for (let round = 0; round < ROUNDS; round++) {
		const socket = socketOf(me);
		connections.add(socket);
		const before = frames;
		let startedAt = performance.now();
		await presence.tellNext(noPace);
		told.push((performance.now() - startedAt) * 1000);
		count = frames - before;
		startedAt = performance.now();
		await features.members.roomsOf(me);
		read.push((performance.now() - startedAt) * 1000);
		connections.remove(socket);
		presenceRegistry.came(me);
		while (presenceRegistry.take() !== undefined);
		presenceRegistry.went(me);
		await Bun.sleep(0);
		presenceRegistry.came(me);
		while (presenceRegistry.take() !== undefined);
	}
	const what = `a change told, ${ROOMS} rooms of ${members}`;
	row(what, median(told), median(read), 'µs', `, ${count} told`);
}

/** Users of a fresh tenant, each in a few small rooms that overlap, and who is in each. */
async function createCrowd(perRoom: number, roomsOfUser: number) {
	const as = await createCallers();
	const membersOf = (room: number) => {
		const step = 1 + (room % 7);
		const users = Array.from({ length: perRoom }, (_, index) => room * perRoom + index * step);
		return [...new Set(users.map((user) => `s${user % STORM}`))];
	};
	fill(as('x'), (STORM * roomsOfUser) / perRoom, membersOf);
	return as;
}

async function sendUntil(as: (user: string) => UserCaller, isDone: () => boolean) {
	const sender = as('sender');
	const { room_id } = await features.rooms.create(sender, { type: 'group' });
	const times: number[] = [];
	while (!isDone()) {
		const startedAt = performance.now();
		await features.messages.send(sender, { room_id, content: 'x'.repeat(100) });
		times.push(performance.now() - startedAt);
	}
	return times;
}

/** How long sends take while storms are told, against sends alone before each. */
async function measureStorms(perRoom: number, roomsOfUser: number): Promise<void> {
	const [alone, beside]: [number[], number[]] = [[], []];
	const [noted, told]: [number[], number[]] = [[], []];
	const worker = createPresenceWorker({ ...container, presence });
	worker.start();
	const before = frames;
	for (let round = 0; round < STORMS; round++) {
		const as = await createCrowd(perRoom, roomsOfUser);
		let count = 0;
		alone.push(...(await sendUntil(as, () => ++count > 2000)));
		const addedAt = performance.now();
		for (let index = 0; index < STORM; index++) connections.add(socketOf(as(`s${index}`)));
		noted.push(performance.now() - addedAt);
		const isDone = () => presenceRegistry.waiting === 0 && lastSeen.unwritten === 0;
		beside.push(...(await sendUntil(as, isDone)));
		told.push((performance.now() - addedAt) / 1000);
	}
	worker.stop();
	const what = `a send beside ${STORM} users who come, each in ${roomsOfUser} rooms of ${perRoom}`;
	row(`${what}, median`, median(beside), median(alone), 'ms');
	row('the same, p99', quantile(beside, 0.99), quantile(alone, 0.99), 'ms');
	const each = Math.round((frames - before) / STORMS);
	console.log(
		`noted in ${median(noted).toFixed(1)} ms, told and written in ${median(told).toFixed(1)} s, ${each} frames`,
	);
}

try {
	await measureConnects();
	await measureTelling(1000, 4000);
	await measureTelling(100, 4000);
	await measureStorms(20, 4);
} finally {
	await container.writer.drain();
	filling.close();
	await container.close();
	rmSync(folder, { recursive: true, force: true });
}
