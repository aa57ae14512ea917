/**
 * An answer never precedes the sync that covers it, and one sync covers many answers: counted in
 * what the server asks of the operating system. Three controls must fail.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bodyOf, httpClient } from '../helpers/http.ts';
import { BINARY, randomSecret } from '../helpers/server.ts';
import { openSocket } from '../helpers/socket.ts';
import { eventually } from '../helpers/wait.ts';
import type { Message } from '../helpers/wire.ts';
import { createHistory } from './history.ts';
import { type Ground, prepare } from './load.ts';
import {
	ANSWERS_BEFORE_COMMIT,
	ANSWERS_WHILE_IT_SYNCS,
	COMMITS_WITHOUT_SYNC,
	sabotaged,
} from './sabotage.ts';
import { markerOf, readSyncs, STRACE, type Syncs } from './syncs.ts';
import { report, startVictim, type Victim, type VictimOptions } from './victim.ts';

const SENDERS = 64;
const SENDS_EACH = 10;
const SENDS = SENDERS * SENDS_EACH;

/** Whether this machine has an strace that may trace. */
const canTrace =
	Bun.which('strace') !== null &&
	Bun.spawnSync(['strace', '-o', '/dev/null', 'true'], { stdout: 'ignore', stderr: 'ignore' })
		.exitCode === 0;
const reason = canTrace ? '' : ' [skipped: no strace that may trace]';

let folder: string;
beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), 'chatapi-syncs-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Sends through 64 senders at once, half of them over sockets, and returns what the system saw. */
async function trace(victim: Pick<VictimOptions, 'command' | 'cwd'>): Promise<Syncs> {
	const own = mkdtempSync(join(folder, 'run-'));
	const base = { ...victim, dataDir: join(own, 'data'), masterKey: randomSecret() };
	const first = await startVictim({ ...base, command: [BINARY] });
	const ground = await prepare(first.url, base.masterKey, createHistory());
	expect(await first.stop()).toBe(0);

	const protocol = join(own, 'protocol');
	const [program, ...args] = STRACE;
	const command = [program, ...args, '-o', protocol, ...victim.command] as const;
	const server = await startVictim({ ...base, command });
	await sendAll(server, ground);
	expect(await server.stop()).toBe(0);
	const isWhole = () => new RegExp(`^${server.pid} +\\+\\+\\+ exited`, 'm').test(textOf(protocol));
	await eventually(isWhole, 10_000, 'the end of the protocol');
	return readSyncs(protocol);
}

const textOf = (path: string) => readFileSync(path, 'latin1');

async function sendAll(server: Victim, { api_key, room_ids }: Ground): Promise<void> {
	const [room_id = ''] = room_ids;
	const credentials = { key: api_key, user: 'alice' };
	const client = httpClient(server, credentials);
	const overHttp = async (number: number) => {
		const body = { content: markerOf(number) };
		const path = `/rooms/${room_id}/messages`;
		bodyOf(await client.call<Message>('POST', path, { body, isChecked: false }), 201);
	};
	const sockets = await Promise.all(
		Array.from({ length: 8 }, () => openSocket(server, credentials)),
	);
	const overSocket = async (number: number) => {
		const socket = sockets[number % sockets.length];
		const frame = { type: 'send_message', room_id, content: markerOf(number) };
		const answer = await socket?.request(frame, 30_000);
		expect(answer?.type).toBe('reply');
	};
	await Promise.all(
		Array.from({ length: SENDERS }, async (_, sender) => {
			const send = sender % 2 === 0 ? overHttp : overSocket;
			for (let count = 0; count < SENDS_EACH; count++) await send(sender * SENDS_EACH + count);
		}),
	);
	await Promise.all(sockets.map((socket) => socket.close()));
}

describe('what is written, synced and answered', () => {
	test.skipIf(!canTrace)(
		`no answer and no frame precedes its sync, and syncs are far fewer than answers${reason}`,
		async () => {
			const syncs = await trace({ command: [BINARY], cwd: folder });

			report(`${SENDS} answers with ${syncs.count} syncs`);
			expect(syncs.told.size).toBe(SENDS);
			expect([...syncs.early]).toEqual([]);
			expect(syncs.count).toBeLessThan(SENDS / 4);
			expect(syncs.count).toBeGreaterThan(0);
		},
		60_000,
	);

	for (const [what, patches, earlyMin] of [
		['answers before the commit', ANSWERS_BEFORE_COMMIT, SENDS / 2],
		// A quick sync may be over before the answer is out.
		['answers while the sync is under way', ANSWERS_WHILE_IT_SYNCS, 0],
		['commits without a sync', COMMITS_WITHOUT_SYNC, SENDS / 2],
	] as const) {
		test.skipIf(!canTrace)(
			`a writer that ${what} is caught${reason}`,
			async () => {
				const syncs = await trace(sabotaged(folder, patches));

				expect(syncs.told.size).toBe(SENDS);
				expect(syncs.early.size).toBeGreaterThan(earlyMin);
			},
			60_000,
		);
	}
});
