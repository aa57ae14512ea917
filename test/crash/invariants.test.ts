/** Each invariant, broken by hand in the database of a server that did nothing wrong. */
import { Database } from 'bun:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BINARY, randomSecret } from '../helpers/server.ts';
import { createHistory, type History, keyOf } from './history.ts';
import { violationsOf } from './invariants.ts';
import { prepare, startLoad } from './load.ts';
import { createRandomness } from './randomness.ts';
import { startVictim } from './victim.ts';

let folder: string;
let sound: string;
const history: History = createHistory();

beforeAll(async () => {
	folder = mkdtempSync(join(tmpdir(), 'chatapi-invariants-'));
	const masterKey = randomSecret();
	const dataDir = join(folder, 'data');
	const server = await startVictim({ command: [BINARY], cwd: folder, dataDir, masterKey });
	const grounds = [
		await prepare(server.url, masterKey, history),
		await prepare(server.url, masterKey, history),
	];
	let answers = 0;
	let tellEnough = () => {};
	const enough = new Promise<void>((resolve) => {
		tellEnough = resolve;
	});
	const load = startLoad({
		url: server.url,
		grounds,
		history,
		random: createRandomness(7),
		onAnswer: () => {
			answers++;
			if (answers === 300) tellEnough();
		},
	});
	await enough;
	await load.finish();
	expect(await server.stop()).toBe(0);
	sound = join(dataDir, 'chatapi.db');
}, 30_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the checks say of a copy with this done to it. */
function after(sql: string, changed: History = history): string[] {
	const path = join(mkdtempSync(join(folder, 'copy-')), 'chatapi.db');
	copyFileSync(sound, path);
	const db = new Database(path);
	db.run('PRAGMA foreign_keys = 0');
	for (const statement of sql.split(';')) if (statement.trim() !== '') db.run(statement);
	db.close();
	return violationsOf(path, changed, { isSettled: true });
}

test('nothing is found where nothing is wrong', () => {
	expect(after('')).toEqual([]);
	expect(history.sends.length).toBeGreaterThan(200);
	expect(history.seen.size).toBeGreaterThan(100);
	expect([history.reads.size, history.memberships.size, history.rooms.size]).not.toContain(0);
	expect(history.cut).toBe(0);
});

const MIDDLE = 'tenant = 1 AND room = 1 AND seq = 5';

describe('found is', () => {
	for (const [finding, sql] of [
		['lost after it was answered', `DELETE FROM messages WHERE ${MIDDLE}`],
		['seqs are not 1..N', `DELETE FROM messages WHERE ${MIDDLE}`],
		['seqs are not 1..N', 'UPDATE room_heads SET last_seq = last_seq + 1 WHERE room = 1'],
		['last_ordinal is not', 'UPDATE room_heads SET last_ordinal = last_ordinal - 1'],
		['an event refers to no message', `DELETE FROM messages WHERE ${MIDDLE}`],
		['stored otherwise than answered', `UPDATE messages SET created_at = 1 WHERE ${MIDDLE}`],
		['stored otherwise than answered', `UPDATE messages SET message_id = 'x' WHERE ${MIDDLE}`],
		['a message that nobody sent', `UPDATE messages SET content = 'x' WHERE ${MIDDLE}`],
		['stored as something else', `UPDATE messages SET sender_id = 'eve' WHERE ${MIDDLE}`],
		[
			'stored twice',
			`INSERT INTO messages SELECT tenant, room, 9999, cursor + 9999, ordinal, 'x', sender_id, content,
				meta, NULL, NULL, created_at FROM messages WHERE ${MIDDLE}`,
		],
		[
			'stored as something else',
			`UPDATE messages SET tenant = 2, seq = 9999, client_msg_id = NULL WHERE ${MIDDLE}`,
		],
		[
			'a message has no event',
			`DELETE FROM events WHERE tenant = 1
				AND cursor = (SELECT cursor FROM messages WHERE ${MIDDLE})`,
		],
		['last_cursor is not max(cursor)', 'UPDATE tenant_heads SET last_cursor = last_cursor - 1'],
		['last_cursor is not max(cursor)', 'DELETE FROM events WHERE tenant = 1 AND cursor = 1'],
		['a cursor does not rise', `UPDATE messages SET cursor = 999999 WHERE ${MIDDLE}`],
		['beyond the log', 'UPDATE room_heads SET last_cursor = 999999 WHERE room = 1'],
		['before its last message', 'UPDATE room_heads SET last_cursor = 1 WHERE room = 1'],
		[
			'a client_msg_id is there twice',
			`DROP INDEX messages_by_client_msg_id; UPDATE messages SET client_msg_id = 'c1'`,
		],
		['a message_id is there twice', `UPDATE messages SET message_id = 'x' WHERE room = 1`],
		['member_count is not', 'UPDATE room_heads SET member_count = member_count + 1'],
		['has no position', `DELETE FROM positions WHERE user_id = 'bob'`],
		['beyond the last message', 'UPDATE positions SET read_seq = 99999, delivered_seq = 99999'],
		['a read position went back', `UPDATE positions SET read_seq = 0 WHERE user_id = 'carol'`],
		['a room is lost', 'DELETE FROM rooms WHERE room = 4'],
		['a message has no room', 'DELETE FROM room_heads WHERE room = 1'],
		['not numbered below', 'UPDATE tenant_heads SET last_room = 1'],
		['a tenant is lost', 'DELETE FROM tenants WHERE tenant = 1'],
		['has a row of no tenant', 'UPDATE events SET tenant = 99 WHERE tenant = 1'],
		['foreign_key_check', 'DELETE FROM tenants WHERE tenant = 1'],
		['a membership is lost or back', `DELETE FROM memberships WHERE user_id LIKE 'guest%'`],
		[
			'a membership is lost or back',
			`INSERT OR IGNORE INTO memberships
				SELECT tenant, room, user_id, 'member', 1, 99999, 0 FROM ended_memberships
				WHERE user_id LIKE 'guest%';
			INSERT OR IGNORE INTO positions
				SELECT tenant, room, user_id, 0, 0, 0, 0 FROM memberships`,
		],
		[
			'stays of one member',
			`UPDATE ended_memberships SET joined_cursor = left_cursor WHERE user_id LIKE 'guest%'`,
		],
		[
			'stays of one member',
			`INSERT INTO ended_memberships
				SELECT tenant, user_id, left_cursor + 1, room, joined_cursor FROM ended_memberships
				WHERE user_id LIKE 'guest%' LIMIT 1`,
		],
		[
			'stays of one member',
			`INSERT INTO ended_memberships
				SELECT tenant, user_id, joined_cursor + 1, room, joined_cursor FROM memberships LIMIT 1`,
		],
	] as const) {
		test(`“${finding}” after ${sql.replaceAll(/\s+/g, ' ').slice(0, 70)}`, () => {
			expect(after(sql).filter((violation) => violation.includes(finding))).not.toEqual([]);
		});
	}

	test('“lost after a socket was told of it”', () => {
		const [message] = history.seen.values();
		const found = after(`DELETE FROM messages WHERE message_id = '${message?.message_id}'`);

		expect(found.filter((one) => one.startsWith('lost after a socket'))).toHaveLength(1);
	});

	test('“never answered”, but only once all that is unknown was repeated', () => {
		const send = { tenant_id: 't', room_id: 'r', sender: 's', content: 'c', client_msg_id: 'i' };
		const changed = { ...history, sends: [...history.sends, send] };

		expect(after('', changed)).toHaveLength(1);
		expect(after('', changed)[0]).toStartWith('never answered');
		expect(violationsOf(sound, changed, { isSettled: false })).toEqual([]);
	});

	test('an unknown send without client_msg_id that is there twice, and no other', () => {
		const [send] = history.sends.filter(({ client_msg_id }) => client_msg_id === null);
		if (send === undefined) throw new Error('The load has no such send');
		const { ack, ...unknown } = send;
		const changed = {
			...history,
			sends: history.sends.map((each) => (each === send ? unknown : each)),
		};
		const twice = `INSERT INTO messages SELECT tenant, room, 9999, cursor + 9999, ordinal, 'x',
			sender_id, content, meta, NULL, NULL, created_at FROM messages
			WHERE message_id = '${ack?.message_id}'`;

		expect(after('', changed)).toEqual([]);
		expect(after(twice, changed).some((one) => one.startsWith('stored twice'))).toBe(true);
	});

	test('a membership of another tenant is not taken for the own one', () => {
		const [key] = history.memberships.keys();
		const [, ...rest] = (key ?? '').split(' ');
		const memberships = new Map([
			[keyOf('other', ...rest), { fate: 'done', isMember: true } as const],
		]);

		expect(after('', { ...history, memberships })).toHaveLength(1);
	});

	for (const [what, pageOf] of [
		['an index', `SELECT rootpage FROM sqlite_master WHERE name = 'rooms_by_id'`],
		['a table', `SELECT rootpage FROM sqlite_master WHERE name = 'messages'`],
		['the schema', 'SELECT 1'],
	] as const) {
		test(`a damaged page of ${what}`, () => {
			const path = join(mkdtempSync(join(folder, 'copy-')), 'chatapi.db');
			const db = new Database(sound);
			const page = Number(db.query(pageOf).values()[0]?.[0]);
			db.close();
			const bytes = readFileSync(sound);
			writeFileSync(path, bytes.fill(0xa5, (page - 1) * 4096 + 100, page * 4096));

			const found = violationsOf(path, history, { isSettled: true });

			expect(found).toHaveLength(1);
			expect(found[0]).toStartWith('integrity_check');
		});
	}
});
