/**
 * Rooms that talk all the time, with readers that keep up, first alone and then beside readers that
 * read nothing; those wake in the end and come back. All of it is one tenant's: who shares a tenant with
 * a stuck reader suffers most.
 */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { percentile } from '../bench/client/checks.ts';
import { memoryOf } from '../bench/usage.ts';
import { startVictim, type Victim, type VictimOptions } from '../crash/victim.ts';
import { bodyOf, httpClient } from '../helpers/http.ts';
import { randomSecret } from '../helpers/server.ts';
import { eventually, within } from '../helpers/wait.ts';
import type { Frame, Room, Tenant } from '../helpers/wire.ts';
import { createStream, type Stream } from './stream.ts';
import { openStuckReader, type StuckReader } from './stuck-reader.ts';

export interface SlowReadersPlan {
	command: Pick<VictimOptions, 'command' | 'cwd'>;
	folder: string;
	rooms: number;
	/** Over all rooms. */
	healthy: number;
	stuck: number;
	perSecond: number;
	aloneMs: number;
	besideMs: number;
	/** How long the stuck ones may stay open after the load. */
	closedMs: number;
}

export interface SlowReadersOutcome {
	violations: string[];
	sent: number;
	perSecond: number;
	closed: number;
	counted: number;
	/** What the stuck ones were sent when they came back. */
	replayed: number;
	alone: Latency;
	beside: Latency;
	baselineMib: number;
	growthMib: number;
}

export interface Latency {
	p50: number;
	p99: number;
}

const CONTENT_BYTES = 1_000;
const TICK_MS = 5;
const WARM_MS = 1_000;
const SAMPLE_MS = 50;
const COME_BACK_AT_ONCE = 10;
const DEADLINE_MS = 60_000;

interface Speaker {
	room_id: string;
	user: string;
	ws: WebSocket;
	lastSeq: number;
	inFlight: number;
}

interface Scene extends SlowReadersPlan {
	server: Victim;
	masterKey: string;
	api_key: string;
	speakers: Speaker[];
	healthy_streams: Stream[];
	latencies: number[];
	violations: string[];
}

export async function runSlowReaders(plan: SlowReadersPlan): Promise<SlowReadersOutcome> {
	const masterKey = randomSecret();
	const server = await startVictim({
		...plan.command,
		dataDir: mkdtempSync(join(plan.folder, 'data-')),
		masterKey,
		env: { RESUME_ROOM_MAX: '0', WS_MAX_CONNECTIONS_PER_USER: '0' },
	});
	const stuck: StuckReader[] = [];
	try {
		const scene = await prepare(plan, server, masterKey);
		await talk(scene, WARM_MS);
		const alone = await talk(scene, plan.aloneMs);
		for (let n = 0; n < plan.stuck; n++) stuck.push(await openStuck(scene, n));
		const baseline = memoryOf(server.pid).rss_kb;
		const beside = await talk(scene, plan.besideMs);
		const counted = await slowConsumers(scene);
		const replayed = await wake(scene, stuck);
		const { violations } = scene;
		violations.push(
			...[...scene.healthy_streams, ...stuck.map(({ stream }) => stream)].flatMap((stream) =>
				stream.violations.slice(0, 1),
			),
		);
		for (const { ws } of scene.speakers) ws.close();
		if ((await server.stop()) !== 0) violations.push('the server did not stop well');
		return {
			violations,
			sent: scene.speakers.reduce((sum, { lastSeq }) => sum + lastSeq, 0),
			perSecond: (beside.sent * 1_000) / plan.besideMs,
			closed: stuck.filter(({ isClosed }) => isClosed).length,
			...{ counted, replayed, alone, beside },
			baselineMib: baseline / 1_024,
			growthMib: (beside.peakKb - baseline) / 1_024,
		};
	} finally {
		for (const reader of stuck) reader.close();
		await server.kill();
	}
}

const stuckUser = (n: number) => `stuck${n}`;
const healthyUser = (n: number) => `healthy${n}`;

async function prepare(plan: SlowReadersPlan, server: Victim, masterKey: string): Promise<Scene> {
	const admin = httpClient(server, { master: masterKey });
	const tenant = bodyOf(await admin.post<Tenant>('/admin/tenants', { name: 'Acme' }), 201);
	const { api_key = '' } = tenant;
	const scene: Scene = {
		...{ ...plan, server, masterKey, api_key },
		...{ speakers: [], healthy_streams: [], latencies: [], violations: [] },
	};
	for (let room = 0; room < plan.rooms; room++) {
		const inRoom = (count: number, nameOf: (n: number) => string) =>
			Array.from({ length: count }, (_, n) => n)
				.filter((n) => n % plan.rooms === room)
				.map(nameOf);
		const readers = inRoom(plan.healthy, healthyUser);
		const members = [...readers, ...inRoom(plan.stuck, stuckUser)];
		const user = `speaker${room}`;
		const client = httpClient(server, { key: api_key, user });
		const body = { type: 'group', name: `room ${room}`, members };
		const { room_id } = bodyOf(await client.post<Room>('/rooms', body), 201);
		for (const reader of readers) {
			const stream = createStream(reader, 0);
			scene.healthy_streams.push(stream);
			await openSocket(scene, reader, (frame) => listen(scene, stream, frame));
		}
		scene.speakers.push(await openSpeaker(scene, room_id, user));
	}
	return scene;
}

function listen({ latencies }: Scene, stream: Stream, frame: Frame): void {
	stream.take(frame);
	if (frame.type !== 'message') return;
	latencies.push(performance.now() - Number.parseFloat(String(frame.content)));
}

async function openSocket(
	{ server, api_key }: Scene,
	user: string,
	onFrame: (frame: Frame) => void,
	query = '',
): Promise<WebSocket> {
	const ws = new WebSocket(`${server.url.replace('http', 'ws')}/ws${query}`, {
		headers: { 'X-API-Key': api_key, 'X-User-Id': user },
	});
	const opened = Promise.withResolvers<void>();
	ws.onmessage = ({ data }) => {
		onFrame(JSON.parse(String(data)));
		opened.resolve();
	};
	ws.onclose = ({ code }) => opened.reject(new Error(`${user} was closed with ${code}`));
	await within(opened.promise, 'a socket');
	return ws;
}

async function openSpeaker(scene: Scene, room_id: string, user: string): Promise<Speaker> {
	const speaker = { room_id, user, lastSeq: 0, inFlight: 0 };
	const ws = await openSocket(scene, user, (frame) => {
		if (frame.request_id === undefined) return;
		speaker.inFlight--;
		if (frame.type !== 'reply') scene.violations.push(`a send got ${JSON.stringify(frame)}`);
		else speaker.lastSeq = (frame.data as { seq: number }).seq;
	});
	return Object.assign(speaker, { ws });
}

let requests = 0;

function say(speaker: Speaker): void {
	const content = `${performance.now()} `.padEnd(CONTENT_BYTES, '.');
	const { room_id } = speaker;
	speaker.inFlight++;
	speaker.ws.send(
		JSON.stringify({ type: 'send_message', request_id: `r${++requests}`, room_id, content }),
	);
}

/** Lets every room talk for so long, and all of it be answered. */
async function talk(scene: Scene, ms: number): Promise<Latency & { sent: number; peakKb: number }> {
	const { speakers, server, perSecond } = scene;
	scene.latencies = [];
	const begin = performance.now();
	let sent = 0;
	let peakKb = 0;
	let sampledAt = 0;
	for (let now = begin; now - begin < ms; now = performance.now()) {
		for (; sent < ((now - begin) * perSecond) / 1_000; sent++) {
			say(speakers[sent % speakers.length] as Speaker);
		}
		if (now - sampledAt > SAMPLE_MS) {
			peakKb = Math.max(peakKb, memoryOf(server.pid).rss_kb);
			sampledAt = now;
		}
		await Bun.sleep(TICK_MS);
	}
	await eventually(() => speakers.every(({ inFlight }) => inFlight === 0), DEADLINE_MS, 'replies');
	const { latencies } = scene;
	const sorted = Float32Array.from(latencies).sort();
	return { sent, peakKb, p50: percentile(sorted, 0.5) ?? 0, p99: percentile(sorted, 0.99) ?? 0 };
}

const speakerOf = ({ speakers }: Scene, n: number) => speakers[n % speakers.length] as Speaker;

const openStuck = (scene: Scene, n: number): Promise<StuckReader> =>
	openStuckReader({
		url: scene.server.url,
		api_key: scene.api_key,
		user: stuckUser(n),
		lastSeq: speakerOf(scene, n).lastSeq,
	});

/** How many the server says that it closed for not keeping up: all of them, before long. */
async function slowConsumers(scene: Scene): Promise<number> {
	const client = httpClient(scene.server, { master: scene.masterKey });
	let count = 0;
	const areAllClosed = async () => {
		const { text } = await client.get('/metrics');
		count = Number(/^chatapi_slow_consumers_total (\d+)/m.exec(text)?.[1]);
		return count >= scene.stuck;
	};
	await eventually(areAllClosed, scene.closedMs).catch(() => {
		scene.violations.push(`${count} of ${scene.stuck} stuck readers were closed`);
	});
	return count;
}

/** The stuck ones read what there is, and whoever was closed comes back. Returns how much they missed. */
async function wake(scene: Scene, stuck: readonly StuckReader[]): Promise<number> {
	await readAll(stuck, () => false);
	for (const speaker of scene.speakers) say(speaker);
	await eventually(() => scene.speakers.every(({ inFlight }) => inFlight === 0));
	const lastSeqs = stuck.map((_, n) => speakerOf(scene, n).lastSeq);
	const isDone = (n: number) => stuck[n]?.stream.lastSeq === lastSeqs[n];
	await readAll(stuck, isDone);
	let replayed = 0;
	for (let n = 0; n < stuck.length; n += COME_BACK_AT_ONCE) {
		const some = stuck.slice(n, n + COME_BACK_AT_ONCE);
		const counts = await Promise.all(
			some.map((reader, index) => comeBack(scene, reader, lastSeqs[n + index] ?? 0)),
		);
		replayed += counts.reduce((sum, count) => sum + count, 0);
	}
	return replayed;
}

const QUIET_LOOKS = 40;

/** Until each is closed or has what it waits for, or nothing comes for a while. */
async function readAll(
	stuck: readonly StuckReader[],
	isDone: (n: number) => boolean,
): Promise<void> {
	for (let quiet = 0; quiet < QUIET_LOOKS; ) {
		if (stuck.every(({ isClosed }, n) => isClosed || isDone(n))) return;
		const count = stuck.reduce((sum, reader) => sum + reader.look(), 0);
		quiet = count > 0 ? 0 : quiet + 1;
		await Bun.sleep(TICK_MS);
	}
}

/** Goes on from its cursor on a new socket, to the end of its room. Returns what it was sent. */
async function comeBack(scene: Scene, reader: StuckReader, lastSeq: number): Promise<number> {
	const { stream, user } = reader;
	const before = stream.lastSeq;
	if (!reader.isClosed) scene.violations.push(`${user} is still open`);
	if (reader.closeCode !== undefined && reader.closeCode !== 4002) {
		scene.violations.push(`${user} was closed with ${reader.closeCode}`);
	}
	const done = Promise.withResolvers<void>();
	const { cursor } = stream;
	const ws = await openSocket(
		scene,
		user,
		(frame) => {
			// `connected` says where it goes on from, which it knows.
			if (frame.type === 'replay.done') done.resolve();
			else if (frame.type !== 'connected') stream.take(frame);
		},
		`?cursor=${cursor}`,
	);
	await within(done.promise, () => `${user} at ${stream.lastSeq} of ${lastSeq}`, DEADLINE_MS);
	ws.close();
	if (stream.lastSeq !== lastSeq) {
		scene.violations.push(`${user} ends with seq ${stream.lastSeq} of ${lastSeq}`);
	}
	return stream.lastSeq - before;
}
