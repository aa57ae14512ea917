/** docs/protocol.md, "Close codes": each is brought about. A row without its way here fails. */
import { afterEach, describe, expect, test } from 'bun:test';
import { bodyOf } from '../../helpers/http.ts';
import { startServer } from '../../helpers/server.ts';
import type { Closed, Socket } from '../../helpers/socket.ts';
import { type Need, type Stage, testWith, useTarget } from '../../helpers/target.ts';
import { createGroup, createTenant, operator, sendMessage } from '../../helpers/tenants.ts';
import { within } from '../../helpers/wait.ts';
import { OPCODE, openRawSocket } from '../bad-input/raw-socket.ts';
import { CLOSE_CODES } from './document.ts';

const SOCKETS_MAX = 2;
const used = useTarget({ WS_MAX_CONNECTIONS_PER_USER: String(SOCKETS_MAX) });

/** What a socket by hand was told at its end, with its last words. */
const closeOf = (payload: Buffer): Closed => ({
	code: payload.readUInt16BE(),
	reason: payload.subarray(2).toString(),
});

/** How a socket comes to its end, beginning with an open one of bob's. */
interface End {
	need?: Need;
	/** Returns what the socket was closed with. */
	happen(stage: Stage): Promise<Closed>;
}

const floods = new Set<ReturnType<typeof setInterval>>();
afterEach(() => {
	for (const flood of floods) clearInterval(flood);
	floods.clear();
});

const closing = (socket: Socket, deadlineMs?: number) =>
	within(socket.closed, 'the socket to close', deadlineMs);

const ENDS: Readonly<Record<number, End>> = {
	4001: {
		need: 'own server',
		async happen() {
			const server = await startServer();
			const socket = await (await createTenant(server)).socket('bob');
			server.signal('SIGTERM');
			const told = await socket.next<{ reconnect_after_ms: number }>('server.shutdown');
			expect(told.reconnect_after_ms).toBeGreaterThanOrEqual(0);
			const end = await closing(socket);
			// It follows `server.shutdown`, and nothing comes between.
			expect(socket.frames.at(-1)?.type).toBe('server.shutdown');
			await server.exited;
			return end;
		},
	},
	4002: {
		async happen({ tenant, who }) {
			const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
			const headers = { 'X-API-Key': tenant.api_key, 'X-User-Id': who.bob };
			const bob = await openRawSocket(tenant.server, headers);
			bob.halt();
			const content = 'x'.repeat(16 * 1024);
			// The systems between hold some megabytes; the server holds 256 KiB beyond them.
			for (let count = 0; count < 600; count++) {
				await sendMessage(tenant, who.alice, room_id, content);
			}
			bob.flow();

			const seqs: number[] = [];
			for (;;) {
				const frame = await bob.next(({ opcode }) => opcode !== OPCODE.ping);
				if (frame === undefined) throw new Error(`It ended without a code after ${seqs.length}`);
				if (frame.opcode === OPCODE.close) {
					// Up to the end nothing was skipped.
					expect(seqs.length).toBeGreaterThan(0);
					expect(seqs.length).toBeLessThan(600);
					expect(seqs).toEqual(seqs.map((_, index) => index + 1));
					return closeOf(frame.payload);
				}
				seqs.push(JSON.parse(frame.payload.toString()).seq);
			}
		},
	},
	4005: {
		async happen({ tenant, who }) {
			const socket = await tenant.socket(who.bob);
			const openedAt = performance.now();
			const { frames_per_second } = socket.connected.limits as { frames_per_second: number };
			const flood = setInterval(() => {
				for (let n = 0; socket.isOpen && n < frames_per_second / 4; n++) {
					socket.send({ type: 'ping' });
				}
			}, 50);
			floods.add(flood);
			const end = await closing(socket, 25_000);
			expect(performance.now() - openedAt).toBeGreaterThan(9_500);
			return end;
		},
	},
	4501: {
		async happen({ tenant, who }) {
			const [socket, bystander] = [await tenant.socket(who.bob), await tenant.socket(who.alice)];
			bodyOf(await tenant.as().post(`/users/${who.bob}/revoke`), 200);
			const end = await closing(socket);
			await bystander.settle();
			await bystander.close();
			return end;
		},
	},
	4502: {
		async happen({ tenant, who }) {
			const socket = await tenant.socket(who.bob);
			for (let count = 0; count < 10; count++) socket.send('not a frame');
			return closing(socket);
		},
	},
	4504: {
		need: 'own server',
		async happen({ tenant, who }) {
			const open = [];
			for (let n = 0; n < SOCKETS_MAX; n++) open.push(await tenant.socket(who.bob));
			const surplus = tenant.socket(who.bob);
			await expect(surplus).rejects.toThrow('closed before "connected": 4504 connection_limit');
			for (const socket of open) await socket.settle();
			await Promise.all(open.map((socket) => socket.close()));
			await (await tenant.socket(who.bob)).close();
			return { code: 4504, reason: 'connection_limit' };
		},
	},
	4507: {
		async happen({ tenant, who }) {
			const socket = await tenant.socket(who.bob);
			bodyOf(await tenant.as().post(`/users/${who.bob}/deactivate`), 200);
			const end = await closing(socket);
			await expect(tenant.socket(who.bob)).rejects.toThrow('closed before');
			bodyOf(await tenant.as().post(`/users/${who.bob}/reactivate`), 200);
			return end;
		},
	},
	4509: {
		need: 'operator',
		async happen({ tenant, who }) {
			const socket = await tenant.socket(who.bob);
			const path = `/admin/tenants/${tenant.tenant_id}`;
			bodyOf(await operator(tenant.server).post(`${path}/suspend`), 200);
			const end = await closing(socket);
			await expect(tenant.socket(who.bob)).rejects.toThrow('closed before');
			bodyOf(await operator(tenant.server).post(`${path}/resume`), 200);
			await (await tenant.socket(who.bob)).close();
			return end;
		},
	},
	4510: {
		need: 'operator',
		async happen({ tenant, who }) {
			const socket = await tenant.socket(who.bob);
			const path = `/admin/tenants/${tenant.tenant_id}`;
			bodyOf(await operator(tenant.server).delete(path), 202);
			const end = await closing(socket);
			await expect(tenant.socket(who.bob)).rejects.toThrow('closed before');
			bodyOf(await operator(tenant.server).post(`${path}/restore`), 200);
			await (await tenant.socket(who.bob)).close();
			return end;
		},
	},
};

test('every close code of the table is brought about here, and there is no other', () => {
	expect(CLOSE_CODES.size).toBeGreaterThan(6);
	expect(Object.keys(ENDS)).toEqual([...CLOSE_CODES.keys()].toSorted().map(String));
});

describe('a socket is closed', () => {
	for (const [code, reason] of CLOSE_CODES) {
		const end = ENDS[code];
		if (end === undefined) continue; // told by the test above
		testWith(end.need, `with ${code} "${reason}" as its row says`, async () => {
			expect(await end.happen(await used.stage())).toEqual({ code, reason });
		});
	}
});

testWith(
	'operator',
	'the end of an API key closes its sockets with 4501, and no other’s',
	async () => {
		const { tenant, who } = await used.stage();
		const admin = operator(used.server);
		const keys = `/admin/tenants/${tenant.tenant_id}/api-keys`;
		const listed = await admin.get<{ api_keys: { key_id: string }[] }>(keys);
		const second = await admin.post<{ api_key: string }>(keys, {
			name: 'second',
			permissions: ['*'],
		});
		const [first, other] = [
			await tenant.socket(who.bob),
			await tenant.socket(who.bob, { key: bodyOf(second, 201).api_key }),
		];

		bodyOf(await admin.delete(`${keys}/${listed.body.api_keys[0]?.key_id}`), 200);

		expect(await closing(first)).toEqual({ code: 4501, reason: 'credential_revoked' });
		await other.settle();
		await other.close();
	},
);
