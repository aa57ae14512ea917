/**
 * A disk that fills up: every refused write is 507, reads go on, nothing that was answered is lost,
 * and writes go on by themselves within 5 s of there being room again, whoever took it and however
 * far. The control has neither mark nor ballast to speak of, and stays stuck: SQLite's log cannot be
 * folded, and the server cannot even start. The disk is a tmpfs, which takes root.
 */
import { expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bodyOf, errorOf, httpClient } from '../helpers/http.ts';
import { runBinary, type Server, StartFailure, startServer } from '../helpers/server.ts';
import { openSocket } from '../helpers/socket.ts';
import { createGroup, createTenant, operator, type TestTenant } from '../helpers/tenants.ts';
import { eventually } from '../helpers/wait.ts';
import type { Message, MessagesPage } from '../helpers/wire.ts';
import { mountSmallDisk, type SmallDisk } from './small-disk.ts';

const MIB = 1024 ** 2;
const DISK_MIB = 64;
/** A twentieth of the disk: what mark and ballast come to here. */
const SHARE_BYTES = Math.floor((DISK_MIB * MIB) / 20);
const AGAIN_MS_MAX = 5_000;
const SENDS_MAX = 3_000;
const CONTENT = 'x'.repeat(12_000);
const UNGUARDED = { DISK_LOW_WATER: '1', DISK_BALLAST: '1' };

const probe = mountSmallDisk(1);
probe?.unmount();
const why = probe === undefined ? ' (skipped: no right to mount a file system)' : '';

/** A server on a small disk, a room in it, and the seqs that its senders were answered. */
interface Scene {
	disk: SmallDisk;
	server: Server;
	tenant: TestTenant;
	room_id: string;
	stored: Set<number>;
	/** Sends over REST; remembers what was stored. */
	send(): Promise<{ status: number; code: string | undefined }>;
	/** The same over a socket of its own; 507 and 201 as over REST. */
	sendFrame(): Promise<{ status: number; code: string | undefined }>;
	/** Starts the same data directory again. */
	restart(): Promise<void>;
}

async function onSmallDisk(
	env: Record<string, string>,
	act: (scene: Scene) => Promise<void>,
): Promise<void> {
	const disk = mountSmallDisk(DISK_MIB);
	if (disk === undefined) throw new Error('It could be mounted a moment ago');
	const start = (MASTER_API_KEY?: string) =>
		startServer({
			dataDir: disk.folder,
			env: {
				DEFAULT_RATE_LIMIT: '0',
				WS_FRAMES_PER_SECOND: '0',
				...env,
				...(MASTER_API_KEY && { MASTER_API_KEY }),
			},
		});
	let server = await start();
	try {
		const tenant = await createTenant(server);
		const { room_id } = await createGroup(tenant, 'alice');
		const credentials = { key: tenant.api_key, user: 'alice' };
		const stored = new Set<number>();
		const remember = (seq: number) => {
			expect(stored.has(seq)).toBe(false);
			stored.add(seq);
		};
		const scene: Scene = {
			...{ disk, server, tenant, room_id, stored },
			async send() {
				const path = `/rooms/${room_id}/messages`;
				const answer = await httpClient(server, credentials).post<Message>(path, {
					content: CONTENT,
				});
				if (answer.status === 201) remember(answer.body.seq);
				const code = answer.status === 201 ? undefined : errorOf(answer).code;
				return { status: answer.status, code };
			},
			async sendFrame() {
				const socket = await openSocket(server, credentials);
				const frame = { type: 'send_message', room_id, content: CONTENT };
				const answer = await socket.request<{ data?: Message; code?: string }>(frame);
				await socket.close();
				if (answer.data?.seq !== undefined) remember(answer.data.seq);
				const isFull = answer.code === 'INSUFFICIENT_STORAGE';
				return { status: isFull ? 507 : 201, code: answer.code };
			},
			async restart() {
				server = await start(server.masterKey);
				scene.server = server;
			},
		};
		await act(scene);
	} finally {
		await server.kill();
		disk.unmount();
	}
}

const REFUSED = { status: 507, code: 'INSUFFICIENT_STORAGE' };

/** Sends, several at a time, until one is refused; nothing but 507 may be a refusal. */
async function sendUntilRefused({ send, stored }: Scene): Promise<void> {
	while (stored.size < SENDS_MAX) {
		const answers = await Promise.all(Array.from({ length: 8 }, send));
		const refused = answers.filter(({ status }) => status !== 201);
		for (const answer of refused) expect(answer).toEqual(REFUSED);
		if (refused.length > 0) return;
	}
	throw new Error(`${stored.size} sends, and the disk is not full`);
}

/** Every write of every kind is 507, and every read goes on; the probes say so. */
async function expectReadsOnly(scene: Scene): Promise<void> {
	const { server, tenant, room_id, stored } = scene;
	const credentials = { key: tenant.api_key, user: 'alice' };
	const alice = httpClient(server, credentials);
	const refused = await Promise.all([
		alice.post('/rooms', { type: 'group', name: 'Another' }),
		alice.post(`/rooms/${room_id}/members`, { members: ['bob'] }),
		alice.post('/acks', { room_id, seq: 1 }),
		alice.delete(`/rooms/${room_id}`),
		operator(server).post('/admin/tenants', { name: 'Another' }),
	]);
	for (const answer of refused) {
		expect(answer.status).toBe(507);
		expect(errorOf(answer)).toMatchObject({ code: 'INSUFFICIENT_STORAGE', retryable: true });
	}
	expect(await Promise.all(Array.from({ length: 100 }, scene.send))).toEqual(
		Array(100).fill(REFUSED),
	);
	expect(await scene.sendFrame()).toEqual(REFUSED);

	const page = await alice.get<MessagesPage>(`/rooms/${room_id}/messages?limit=1`);
	expect(bodyOf(page, 200).messages.map(({ seq }) => seq)).toEqual([stored.size]);
	expect((await alice.get('/rooms')).status).toBe(200);
	expect((await operator(server).get('/admin/tenants')).status).toBe(200);
	expect((await alice.get('/readyz')).status).toBe(200);
	const health = await alice.get('/health');
	expect([health.status, health.body]).toMatchObject([
		503,
		{ status: 'unavailable', db_writable: false, reason: 'disk_full' },
	]);
}

/** The audit log cannot be written: what belongs to a tenant does not leave without its entry, and a backup does. */
async function expectBackupsOnly({ server, tenant }: Scene): Promise<void> {
	const folder = mkdtempSync(join(tmpdir(), 'chatapi-elsewhere-'));
	const [file, backup] = [join(folder, 'tenant.db'), join(folder, 'backup.db')];
	const env = { DATA_DIR: server.dataDir };
	try {
		const exported = await runBinary(['export', '--quiet', tenant.tenant_id, file], env);
		const backedUp = await runBinary(['backup', '--quiet', '--out', backup], env);

		expect(exported).toMatchObject({ exitCode: 1, stdout: '' });
		expect(exported.stderr).toStartWith(
			'chatapi: Not exported, for the audit log cannot tell of it: The disk is full',
		);
		expect(backedUp).toMatchObject({ exitCode: 0, stdout: `${backup}\n` });
		expect(backedUp.stderr).toStartWith(
			'chatapi: the audit log does not tell of this backup: The disk is full',
		);
		expect(readdirSync(folder).toSorted()).toEqual(['backup.db', 'backup.db.manifest.json']);
		expect(await runBinary(['verify', '--quiet', backup])).toMatchObject({ exitCode: 0 });
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
}

/** Somebody makes room: writes go on within 5 s, and all that was ever answered is there. */
async function expectRecovery(scene: Scene): Promise<void> {
	const { disk, tenant, room_id, stored } = scene;
	disk.empty();
	await eventually(async () => (await scene.send()).status === 201, AGAIN_MS_MAX, 'a write');
	expect((await scene.sendFrame()).status).toBe(201);

	const alice = httpClient(scene.server, { key: tenant.api_key, user: 'alice' });
	expect((await alice.get('/health')).status).toBe(200);
	const seqs: number[] = [];
	while (seqs.length < stored.size) {
		const path = `/rooms/${room_id}/messages?limit=100&after_seq=${seqs.length}`;
		const { messages } = bodyOf(await alice.get<MessagesPage>(path), 200);
		if (messages.length === 0) break;
		seqs.push(...messages.map(({ seq }) => seq).toSorted((a, b) => a - b));
	}
	expect(seqs).toEqual([...stored].toSorted((a, b) => a - b));
	expect(seqs).toEqual(seqs.map((_, index) => index + 1));
}

const linesOf = (server: Server, pattern: RegExp) =>
	server.log().filter(({ msg }) => pattern.test(msg));

test.skipIf(probe === undefined)(
	`below the low-water mark writes are refused before the disk is full${why}`,
	async () => {
		await onSmallDisk({}, async (scene) => {
			const { disk, server } = scene;
			await Promise.all(Array.from({ length: 20 }, scene.send));
			expect((await scene.sendFrame()).status).toBe(201);

			disk.fill(SHARE_BYTES - MIB);
			// It is not for a write to find out.
			await eventually(() => linesOf(server, /almost full: refusing writes/).length === 1);

			await expectReadsOnly(scene);
			await expectBackupsOnly(scene);
			expect(disk.sizeOf('chatapi.db-wal')).toBe(0);
			expect(disk.sizeOf('ballast')).toBe(SHARE_BYTES);
			const metrics = await operator(server).get('/metrics');
			const free = /^chatapi_disk_free_bytes (\d+)$/m.exec(metrics.text)?.[1];
			expect(Number(free)).toBeLessThan(SHARE_BYTES);
			await expectRecovery(scene);
			expect(linesOf(server, /refusing writes/)).toHaveLength(1);
			expect(linesOf(server, /taking writes/)).toHaveLength(1);
			expect(linesOf(server, /failed/)).toEqual([]);
			expect(await server.stop()).toBe(0);
		});
	},
);

/** Leaves room for the log to grow to its usual size, and not for folding it. */
const LEAVE_BYTES = 6 * MIB;

test.skipIf(probe === undefined)(
	`a disk without one free byte is survived, a restart included, on the ballast${why}`,
	async () => {
		await onSmallDisk({}, async (scene) => {
			const { disk } = scene;
			disk.fill(LEAVE_BYTES);
			await sendUntilRefused(scene);
			disk.fill(0);
			await expectReadsOnly(scene);
			await expectBackupsOnly(scene);
			expect(disk.sizeOf('chatapi.db-wal')).toBe(0);

			expect(await scene.server.stop()).toBe(0);
			await scene.restart();
			await expectReadsOnly(scene);
			await scene.server.kill();
			await scene.restart();
			await expectReadsOnly(scene);

			await expectRecovery(scene);
			expect(disk.sizeOf('ballast')).toBe(SHARE_BYTES);
			for (const line of linesOf(scene.server, /./)) expect(line.msg).not.toMatch(/failed/);
			expect(await scene.server.stop()).toBe(0);
		});
	},
);

test.skipIf(probe === undefined)(
	`control: without mark and ballast it stays stuck: the log is not folded, and nothing starts${why}`,
	async () => {
		await onSmallDisk(UNGUARDED, async (scene) => {
			const { disk } = scene;
			disk.fill(LEAVE_BYTES);
			await sendUntilRefused(scene);
			disk.fill(0);
			expect(disk.sizeOf('chatapi.db-wal')).toBeGreaterThan(MIB);

			expect(await scene.server.stop()).toBe(0);
			const failure = await scene.restart().catch((error: unknown) => error);

			expect(failure).toBeInstanceOf(StartFailure);
			expect((failure as StartFailure).stderr).toContain('is full');
			expect(disk.sizeOf('chatapi.db-wal')).toBeGreaterThan(MIB);
			disk.empty();
			await scene.restart();
			await expectRecovery(scene);
			expect(await scene.server.stop()).toBe(0);
		});
	},
);
