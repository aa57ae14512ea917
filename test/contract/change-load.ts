/**
 * A key that sends over both faces without a pause, and a change that ends or bounds what it may do, again and again. What is
 * sent after the answer to the change is refused; what others send is not.
 */
import { bodyOf } from '../helpers/http.ts';
import type { Server } from '../helpers/server.ts';
import {
	createGroup,
	createKey,
	createTenant,
	operator,
	type TestTenant,
	tenantOf,
} from '../helpers/tenants.ts';
import { DEADLINE_MS, eventually, within } from '../helpers/wait.ts';
import type { Frame, Room } from '../helpers/wire.ts';

/** Whom a change is about. */
export interface Target {
	tenant: TestTenant;
	key_id: string;
}

export interface Change {
	make(server: Server, target: Target): Promise<unknown>;
	/** So that the next round begins as this one did. */
	undo?(server: Server, target: Target): Promise<unknown>;
	/** What is said to a request behind it; and to a frame, where the socket stays open. */
	status: number;
	code: string;
	/** What its sockets are closed with. */
	closed?: number;
	/** Whether nothing is stored behind its answer, not even of what was sent before. */
	isExact: boolean;
	/** So many may pass all the same, and so many more each second. */
	allowance?: { burst: number; perSecond: number };
	/** Whether other keys of the tenant go on. */
	sparesTenant: boolean;
}

export interface ChangeRun {
	/** What passed and must not have, or was refused and must not have been. */
	violations: string[];
	rounds: number;
	/** Answered before the changes, by face: what they met. */
	stored: { rest: number; socket: number };
	/** Sent behind them, by face. */
	late: { rest: number; socket: number };
}

type Face = 'rest' | 'socket';

/** The status, or the code of an error frame; undefined for what was never answered. */
type Outcome = 'stored' | string | undefined;

const USER = 'ann';
const REST_SENDERS = 4;
const SOCKETS = 3;
const LANES = 4;
/** By each sender, behind the answer. */
const LATE_SENDS = 3;
/** Of each face, before a change. */
const STORED_MIN = 60;
const CLOSE_MS = 1000;

interface Sender {
	face: Face;
	/** False when there is nobody to send to any more. */
	isOpen(): boolean;
	send(): Promise<Outcome>;
}

const restSender = (tenant: TestTenant, room_id: string): Sender => ({
	face: 'rest',
	isOpen: () => true,
	async send() {
		const answer = await tenant.as(USER).call('POST', `/rooms/${room_id}/messages`, {
			body: { content: 'x' },
			isChecked: false,
		});
		return answer.status === 201 ? 'stored' : String(answer.status);
	},
});

interface Line extends Sender {
	closed: Promise<number>;
	close(): void;
}

/** A socket that answers each frame's sender, at little cost. */
async function openLine({ server, api_key }: TestTenant, room_id: string): Promise<Line> {
	const ws = new WebSocket(`${server.url.replace('http', 'ws')}/ws`, {
		headers: { 'X-API-Key': api_key, 'X-User-Id': USER },
	});
	const waiting = new Map<string, (outcome: Outcome) => void>();
	let isGreeted = false;
	let requests = 0;
	ws.onmessage = ({ data }) => {
		const frame: Frame = JSON.parse(String(data));
		if (frame.type === 'connected') isGreeted = true;
		if (frame.request_id === undefined) return;
		waiting.get(frame.request_id)?.(frame.type === 'reply' ? 'stored' : String(frame.code));
		waiting.delete(frame.request_id);
	};
	const closed = new Promise<number>((resolve) => {
		ws.onclose = ({ code }) => {
			for (const answer of waiting.values()) answer(undefined);
			resolve(code);
		};
	});
	await eventually(() => isGreeted, DEADLINE_MS, 'connected');
	const isOpen = () => ws.readyState === WebSocket.OPEN;
	return {
		face: 'socket',
		isOpen,
		closed,
		send() {
			if (!isOpen()) return Promise.resolve(undefined);
			const request_id = `${++requests}`;
			return new Promise((resolve) => {
				waiting.set(request_id, resolve);
				ws.send(JSON.stringify({ type: 'send_message', room_id, content: 'x', request_id }));
			});
		},
		close: () => ws.close(),
	};
}

/** Sends of those who have nothing to do with the change, until they are told to stop. */
function startBystanders(tenants: readonly (readonly [string, TestTenant, string])[]) {
	let isOver = false;
	const refused: string[] = [];
	const sending = tenants.map(async ([name, tenant, room_id]) => {
		const line = await openLine(tenant, room_id);
		const senders = [restSender(tenant, room_id), line];
		const work = senders.map(async (sender) => {
			while (!isOver) {
				const outcome = await sender.send();
				if (outcome !== 'stored')
					refused.push(`${name} was refused over ${sender.face}: ${outcome}`);
				if (outcome !== 'stored') return;
			}
		});
		await Promise.all(work);
		line.close();
	});
	return async () => {
		isOver = true;
		await Promise.all(sending);
		return refused;
	};
}

/** Makes the change so many times. */
export async function changeUnderLoad(
	server: Server,
	change: Change,
	rounds: number,
): Promise<ChangeRun> {
	const run: ChangeRun = {
		...{ violations: [], rounds: 0 },
		...{ stored: { rest: 0, socket: 0 }, late: { rest: 0, socket: 0 } },
	};
	const tenant = await createTenant(server);
	const other = await createTenant(server);
	const { room_id } = await createGroup(tenant, USER);
	const beside = (await createGroup(tenant, USER)).room_id;
	const elsewhere = (await createGroup(other, USER)).room_id;
	const stop = startBystanders([
		['another tenant', other, elsewhere],
		...(change.sparesTenant ? ([['another key', tenant, beside]] as const) : []),
	]);
	for (; run.rounds < rounds; run.rounds++) {
		await changeOnce({ server, change, tenant, room_id, run });
	}
	run.violations.push(...(await stop()));
	return run;
}

interface Round {
	server: Server;
	change: Change;
	tenant: TestTenant;
	room_id: string;
	run: ChangeRun;
}

async function changeOnce({ server, change, tenant, room_id, run }: Round): Promise<void> {
	const { key_id, api_key } = await createKey(tenant, ['rooms:read', 'messages:write']);
	const holder = tenantOf(server, { tenant_id: tenant.tenant_id, api_key });
	const lines = await Promise.all(Array.from({ length: SOCKETS }, () => openLine(holder, room_id)));
	const senders: Sender[] = [
		...Array.from({ length: REST_SENDERS }, () => restSender(holder, room_id)),
		...lines.flatMap((line) => Array.from({ length: LANES }, () => line)),
	];
	const note = (what: string) => run.violations.push(`round ${run.rounds}: ${what}`);
	const now = { rest: 0, socket: 0 };
	const passed: string[] = [];
	let changedAt: number | undefined;
	const changed = Promise.withResolvers<void>();

	async function work(sender: Sender): Promise<void> {
		while (changedAt === undefined) {
			const outcome = await sender.send();
			if (outcome === 'stored') {
				now[sender.face]++;
				continue;
			}
			// What was on its way with the change may be refused before its answer is here.
			if (!isChanging) return void note(`was refused too early: ${outcome}`);
			await changed.promise;
		}
		for (let count = 0; count < LATE_SENDS && sender.isOpen(); count++) {
			const outcome = await sender.send();
			run.late[sender.face]++;
			const expected = sender.face === 'rest' ? String(change.status) : change.code;
			const isGone = change.closed !== undefined && sender.face === 'socket';
			if (outcome === 'stored') passed.push(sender.face);
			else if (outcome !== expected && !(isGone && outcome === undefined)) {
				note(`was answered ${outcome} over ${sender.face}, not ${expected}`);
			}
		}
	}
	let isChanging = false;
	const working = Promise.all(senders.map(work));
	await eventually(() => Math.min(now.rest, now.socket) >= STORED_MIN, 30_000, 'the load');
	isChanging = true;
	bodyOf((await change.make(server, { tenant, key_id })) as never, 200);
	changedAt = performance.now();
	changed.resolve();
	const headOf = async () => {
		const path = `/admin/tenants/${tenant.tenant_id}/rooms/${room_id}`;
		return bodyOf(await operator(server).get<Room>(path), 200).last_seq;
	};
	const head = change.isExact ? await headOf() : 0;
	await within(working, 'the senders to end', 20_000);

	const { burst, perSecond } = change.allowance ?? { burst: 0, perSecond: 0 };
	const seconds = (performance.now() - changedAt) / 1000;
	if (passed.length > burst + Math.ceil(seconds * perSecond)) {
		note(
			`${passed.length} sends passed behind it, over ${[...new Set(passed)].sort().join(' and ')}`,
		);
	}
	if (change.isExact && (await headOf()) !== head) note('something was stored behind its answer');
	for (const [index, line] of lines.entries()) {
		if (change.closed === undefined) {
			if (!line.isOpen()) note(`socket ${index} was closed`);
			line.close();
			continue;
		}
		const code = await within(line.closed, 'the close', CLOSE_MS).catch(() => 'not');
		if (code !== change.closed) note(`socket ${index} was closed with ${code}`);
		line.close();
	}
	run.stored.rest += now.rest;
	run.stored.socket += now.socket;
	await change.undo?.(server, { tenant, key_id });
}
