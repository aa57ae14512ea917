/** What a socket allows itself, to the frame and the millisecond: the clock is the test's. */
import { describe, expect, test } from 'bun:test';
import type { ServerWebSocket } from 'bun';
import type { TenantCaller } from '../../../src/core/caller.ts';
import type { ConnectionId, KeyId, TenantId, TenantNo, UserId } from '../../../src/core/ids.ts';
import { DEFAULT_SETTINGS } from '../../../src/core/tenant-settings.ts';
import { CLOSE } from '../../../src/realtime/close-codes.ts';
import type { Socket } from '../../../src/ws/socket.ts';
import { newSocket } from './new-socket.ts';

const RATE = { frameRate: { per_second: 20, burst: 60 } };

/** A socket on a clock of the test's, over what Bun would hand it. */
function openSocket() {
	const clock = { now: 0 };
	const caller: TenantCaller = {
		...{ kind: 'tenant', isBound: false, expires_at: null, permissions: new Set(), rate: null },
		...{ tenant: 1 as TenantNo, tenant_id: 'tenant_1' as TenantId, key_id: 'key_1' as KeyId },
		user_id: 'alice' as UserId,
		settings: DEFAULT_SETTINGS,
		features: {},
		stamp: { tenant_id: 'tenant_1', tenant: 0, key_id: 'key_1', key: 0, user_id: 'alice', user: 0 },
	};
	const socket = newSocket('conn_1' as ConnectionId, caller, () => clock.now);
	const closed: number[] = [];
	const ws = { readyState: WebSocket.OPEN, close: (code: number) => closed.push(code) };
	socket.attach(ws as unknown as ServerWebSocket<Socket>);
	/** So many frames at once; how many of them were taken. */
	const send = (count: number): number => {
		let taken = 0;
		for (let n = 0; n < count; n++) if (socket.takeFrame(RATE) === 0) taken++;
		return taken;
	};
	return { socket, clock, closed, send };
}

describe('frames per second', () => {
	test('are the burst at once, not one more, and then one whenever there is a token', () => {
		const { socket, clock, closed, send } = openSocket();

		expect(send(60)).toBe(60);
		expect(socket.takeFrame(RATE)).toBe(50);
		clock.now = 49;
		expect(socket.takeFrame(RATE)).toBeCloseTo(1, 5);
		clock.now = 50;
		expect(send(2)).toBe(1);
		clock.now = 50 + 1000;
		expect(send(100)).toBe(20);
		clock.now += 60_000;
		expect(send(100)).toBe(60);
		expect(closed).toEqual([]);
	});

	test('are not counted where the limit is off', () => {
		const { socket, closed } = openSocket();

		for (let n = 0; n < 100_000; n++) expect(socket.takeFrame({ frameRate: null })).toBe(0);

		expect(closed).toEqual([]);
	});

	test('too many for ten seconds close with 4005: not a millisecond earlier', () => {
		const { clock, closed, send } = openSocket();
		send(61);
		for (; clock.now < 9_500; clock.now += 500) send(100);

		clock.now = 9_999;
		send(100);
		expect(closed).toEqual([]);
		clock.now = 10_000;
		send(100);

		expect(closed[0]).toBe(CLOSE.rate_limited);
	});

	test('a pause of more than a second begins the ten seconds anew; one of a second does not', () => {
		const [paused, pausing] = [openSocket(), openSocket()];
		for (const { clock, send } of [paused, pausing]) {
			send(61);
			for (; clock.now < 9_000; clock.now += 500) send(100);
			clock.now = 8_500;
		}

		paused.clock.now += 1_001;
		pausing.clock.now += 1_000;
		for (const { clock, send } of [paused, pausing]) {
			send(100);
			clock.now = 10_000;
			send(100);
		}

		expect(paused.closed).toEqual([]);
		expect(pausing.closed[0]).toBe(CLOSE.rate_limited);
		for (let now = 10_500; now <= 19_500; now += 500) {
			paused.clock.now = now;
			paused.send(100);
		}
		expect(paused.closed).toEqual([]);
		paused.clock.now = 19_501;
		paused.send(100);
		expect(paused.closed[0]).toBe(CLOSE.rate_limited);
	});
});

describe('frames that make no sense', () => {
	test('are nine at once; the tenth closes with 4502', () => {
		const { socket, closed } = openSocket();

		for (let n = 0; n < 9; n++) socket.countBadFrame();
		expect(closed).toEqual([]);
		socket.countBadFrame();

		expect(closed).toEqual([CLOSE.bad_request]);
	});

	test('are ten a minute for ever; eleven are too many', () => {
		const [ten, eleven] = [openSocket(), openSocket()];

		for (let n = 0; n < 600; n++) {
			ten.socket.countBadFrame();
			ten.clock.now += 6_000;
		}
		for (let n = 0; n < 600 && eleven.closed.length === 0; n++) {
			eleven.socket.countBadFrame();
			eleven.clock.now += 60_000 / 11;
		}

		expect(ten.closed).toEqual([]);
		expect(eleven.closed).toEqual([CLOSE.bad_request]);
	});
});
