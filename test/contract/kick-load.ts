/**
 * A room in which a thousand messages a second are sent, over both faces, and a member who is kicked out
 * of it again and again; with everything that the member was told, by socket, by REST, by resuming.
 */
import { bodyOf } from '../helpers/http.ts';
import type { Server } from '../helpers/server.ts';
import { createGroup, createTenant, type TestTenant } from '../helpers/tenants.ts';
import { eventually, within } from '../helpers/wait.ts';
import type { MessagesPage } from '../helpers/wire.ts';

export interface KickRun {
	/** What the member was told and must not have been. */
	violations: string[];
	kicks: number;
	/** Stored in the room meanwhile. */
	messages: number;
	seconds: number;
	/** Messages that the member's sockets were told between joining and being kicked. */
	toldBefore: number;
}

interface Told {
	type: string;
	cursor?: string;
	room_id?: string;
	room?: { room_id: string };
	user_id?: string;
	seq?: number;
}

/** A socket that keeps what it is told, at little cost. */
interface Feed {
	told: Told[];
	send(frame: object): void;
	/** Returns once all is here that was sent before now. */
	settle(): Promise<void>;
	close(): void;
}

const MEMBER = 'victim';
const SOCKETS = 3;
const WS_SENDERS = 4;
const REST_SENDERS = 3;
/** Each socket sender, each tick: 4 senders, 2 messages and 125 ticks a second. */
const PER_TICK = 2;
const TICK_MS = 8;
/** Told on top before a kick: another number each time. */
const HEAD_START_MAX = 40;
/** Told to those who are still there after a kick, before the room is left alone. */
const AFTERMATH = 60;

async function openFeed({ server, api_key }: TestTenant, user: string, cursor?: string) {
	const query = cursor === undefined ? '' : `?cursor=${cursor}`;
	const ws = new WebSocket(`${server.url.replace('http', 'ws')}/ws${query}`, {
		headers: { 'X-API-Key': api_key, 'X-User-Id': user },
	});
	const told: Told[] = [];
	let pongs = 0;
	ws.onmessage = ({ data }) => {
		const frame: Told = JSON.parse(String(data));
		if (frame.type === 'pong') pongs++;
		else told.push(frame);
	};
	await eventually(() => told[0]?.type === 'connected', 10_000, 'connected');
	const feed: Feed = {
		told,
		send: (frame) => ws.send(JSON.stringify(frame)),
		async settle() {
			const before = pongs;
			ws.send('{"type":"ping"}');
			await eventually(() => pongs > before, 10_000, 'a pong');
		},
		close: () => ws.close(),
	};
	return feed;
}

const isOf = (room_id: string) => (frame: Told) =>
	frame.room_id === room_id || frame.room?.room_id === room_id;
const isRemoval = ({ type, user_id }: Told) => type === 'member.removed' && user_id === MEMBER;

/** Kicks the member so many times. */
export async function kickUnderLoad(server: Server, kicks: number): Promise<KickRun> {
	const tenant = await createTenant(server);
	const users = Array.from({ length: WS_SENDERS + REST_SENDERS }, (_, n) => `sender-${n}`);
	const { room_id } = await createGroup(tenant, 'owner', users);
	const witness = await openFeed(tenant, 'owner');
	const feeds = await Promise.all(Array.from({ length: SOCKETS }, () => openFeed(tenant, MEMBER)));
	const run: KickRun = { violations: [], kicks: 0, messages: 0, seconds: 0, toldBefore: 0 };
	const startedAt = performance.now();
	const stopSending = await startSending(tenant, room_id, users);
	try {
		for (; run.kicks < kicks; run.kicks++) {
			await kickOnce({ tenant, room_id, witness, feeds, round: run.kicks, run });
		}
	} finally {
		await stopSending();
		run.seconds = (performance.now() - startedAt) / 1000;
		run.messages = witness.told.filter(({ type }) => type === 'message').length;
		for (const feed of [witness, ...feeds]) feed.close();
	}
	return run;
}

/** Senders over both faces, until the function that this returns is called. */
async function startSending(tenant: TestTenant, room_id: string, users: readonly string[]) {
	let isOver = false;
	const sockets = await Promise.all(
		users.slice(0, WS_SENDERS).map((user) => openFeed(tenant, user)),
	);
	const frame = { type: 'send_message', room_id, content: 'x'.repeat(100) };
	const ticking = setInterval(() => {
		for (const socket of sockets) {
			socket.told.length = 1;
			for (let count = 0; count < PER_TICK; count++) socket.send(frame);
		}
		sockets[0]?.send({ type: 'typing.start', room_id });
	}, TICK_MS);
	const posting = users.slice(WS_SENDERS).map(async (user) => {
		const client = tenant.as(user);
		while (!isOver) bodyOf(await client.post(`/rooms/${room_id}/messages`, { content: user }), 201);
	});
	return async () => {
		clearInterval(ticking);
		isOver = true;
		await Promise.all(posting);
		for (const socket of sockets) socket.close();
	};
}

interface Kick {
	tenant: TestTenant;
	room_id: string;
	witness: Feed;
	feeds: Feed[];
	round: number;
	run: KickRun;
}

async function kickOnce({ tenant, room_id, witness, feeds, round, run }: Kick): Promise<void> {
	const inRoom = isOf(room_id);
	const note = (what: string) => run.violations.push(`kick ${round}: ${what}`);
	for (const feed of feeds) feed.told.length = 1;
	const from = witness.told.length;
	bodyOf(await tenant.as('owner').post(`/rooms/${room_id}/members`, { members: [MEMBER] }), 201);
	const enough = 5 + ((round * 7) % HEAD_START_MAX);
	await eventually(() => feeds.every(({ told }) => told.filter(inRoom).length > enough), 20_000);
	const before = witness.told.findLast(({ cursor }) => cursor !== undefined)?.cursor;
	const reading = readMeanwhile(tenant, room_id);

	// By the owner or by the tenant itself, and now and then all at once with a send of the member's own.
	const remover = tenant.as(round % 2 === 0 ? 'owner' : undefined);
	const late = round % 3 === 0 ? feeds : [];
	const removing = remover.delete(`/rooms/${room_id}/members/${MEMBER}`);
	for (const feed of late) feed.send({ type: 'send_message', room_id, content: 'mine' });
	bodyOf(await removing, 200);
	const [messages, room, members, sent] = await Promise.all([
		tenant.as(MEMBER).get(`/rooms/${room_id}/messages`),
		tenant.as(MEMBER).get(`/rooms/${room_id}`),
		tenant.as(MEMBER).get(`/rooms/${room_id}/members`),
		tenant.as(MEMBER).post(`/rooms/${room_id}/messages`, { content: 'too late' }),
	]);
	for (const { status } of [messages, room, members, sent]) {
		if (status !== 404) note(`was answered ${status} behind the answer to the removal`);
	}

	const removed = await eventually(() => witness.told.slice(from).find(isRemoval), 10_000);
	const { cursor: moment = '' } = removed;
	const isAbove = ({ cursor }: Told) => cursor !== undefined && cursor > moment;
	const flowing = () => witness.told.filter((frame) => inRoom(frame) && isAbove(frame));
	await eventually(() => flowing().length > AFTERMATH, 20_000, 'messages after the kick');
	await Promise.all(feeds.map((feed) => feed.settle()));
	for (const [index, { told }] of feeds.entries()) {
		const end = told.findIndex(isRemoval);
		if (end === -1) note(`socket ${index} was not told of it`);
		run.toldBefore += told.slice(0, end).filter(({ type }) => type === 'message').length;
		for (const frame of told.slice(end + 1).filter(inRoom)) {
			note(`socket ${index} was told ${frame.type} ${frame.cursor ?? ''} after ${moment}`);
		}
		for (const frame of told.filter((each) => inRoom(each) && isAbove(each))) {
			note(`socket ${index} was told of ${frame.cursor}, above ${moment}`);
		}
	}
	for (const cursor of await within(reading(), 'the reads', 10_000)) {
		if (cursor > moment) note(`read ${cursor} over REST, above ${moment}`);
	}
	await resumeAfter({ tenant, room_id, from: before ?? moment, moment, note });
}

/** Reads the room's messages as the member, until it may no more. Returns how to wait for it. */
function readMeanwhile(tenant: TestTenant, room_id: string): () => Promise<string[]> {
	const cursors: string[] = [];
	const reading = (async () => {
		for (;;) {
			const answer = await tenant
				.as(MEMBER)
				.get<MessagesPage>(`/rooms/${room_id}/messages?limit=5`);
			if (answer.status === 404) return cursors;
			cursors.push(...bodyOf(answer, 200).messages.map(({ cursor }) => cursor));
		}
	})();
	return () => reading;
}

/** What a socket is sent that goes on from before the kick: up to the kick, and nothing behind it. */
async function resumeAfter({
	tenant,
	room_id,
	from,
	moment,
	note,
}: Pick<Kick, 'tenant' | 'room_id'> & {
	from: string;
	moment: string;
	note: (what: string) => unknown;
}): Promise<void> {
	const feed = await openFeed(tenant, MEMBER, from);
	await eventually(() => feed.told.some(({ type }) => type === 'replay.done'), 10_000);
	await feed.settle();
	const inRoom = feed.told.filter(isOf(room_id));
	if (!isRemoval(inRoom.at(-1) ?? { type: 'nothing' })) note('resuming does not end with it');
	for (const { cursor = '' } of inRoom) {
		if (cursor > moment) note(`resuming told of ${cursor}, above ${moment}`);
	}
	feed.close();
}
