/**
 * Sockets that break the protocol below our frames. What is broken may end that connection, and no
 * other; what the protocol allows (fragments, pings in between) works.
 */
import { beforeAll, describe, expect, test } from 'bun:test';
import { bodyOf } from '../../helpers/http.ts';
import { exchange, requestText } from '../../helpers/raw-http.ts';
import { useServer } from '../../helpers/use-server.ts';
import { within } from '../../helpers/wait.ts';
import type { MessagesPage } from '../../helpers/wire.ts';
import {
	type Bystander,
	CANARY,
	createBystander,
	leaksIn,
	problemsInLog,
	problemsOf,
} from './judge.ts';
import { type FrameBits, frameBytes, OPCODE, openRawSocket, type RawSocket } from './raw-socket.ts';
import { createScene, type Scene } from './valid-requests.ts';

const used = useServer({
	DEFAULT_RATE_LIMIT: '0',
	WS_FRAMES_PER_SECOND: '0',
	WS_MAX_CONNECTIONS_PER_USER: '0',
	LOG_LEVEL: 'debug',
	MAX_BODY_BYTES: '64KiB',
});

let scene: Scene;
let bystander: Bystander;

beforeAll(async () => {
	scene = await createScene(used.server);
	bystander = await createBystander(used.server);
});

const openSocket = (): Promise<RawSocket> =>
	openRawSocket(used.server, { 'X-API-Key': scene.tenant.api_key, 'X-User-Id': 'alice' });

const PING = '{"type":"ping","request_id":"by-hand"}';
const isText = ({ opcode }: { opcode: number }) => opcode === OPCODE.text;
const isReply = (frame: { opcode: number; payload: Buffer }) =>
	isText(frame) && frame.payload.includes('"by-hand"');

const bytesOf = (...frames: FrameBits[]): Buffer => Buffer.concat(frames.map(frameBytes));
const text = (payload: string | Uint8Array, bits: Partial<FrameBits> = {}): FrameBits => ({
	opcode: OPCODE.text,
	payload,
	...bits,
});
const rest = (payload: string | Uint8Array, isFinal = true): FrameBits => ({
	opcode: OPCODE.continuation,
	payload,
	isFinal,
});

/** What must end the connection; the codes are those that RFC 6455 names, where one is sent. */
const VIOLATIONS: Readonly<Record<string, { bytes: Buffer; codes: number[] }>> = {
	'a frame that is not masked': { bytes: bytesOf(text(PING, { isMasked: false })), codes: [1002] },
	'opcode 3': { bytes: bytesOf({ opcode: 3, payload: PING }), codes: [1002] },
	'opcode 15': { bytes: bytesOf({ opcode: 15 }), codes: [1002] },
	'a reserved bit': { bytes: bytesOf(text(PING, { reserved: 1 })), codes: [1002] },
	'a compressed frame': { bytes: bytesOf(text(PING, { reserved: 4 })), codes: [1002, 1007] },
	'a continuation of nothing': { bytes: bytesOf(rest(PING)), codes: [1002] },
	'a message within a message': {
		bytes: bytesOf(text('{"type":', { isFinal: false }), text(PING)),
		codes: [1002],
	},
	'a ping in fragments': {
		bytes: bytesOf({ opcode: OPCODE.ping, payload: 'x', isFinal: false }),
		codes: [1002],
	},
	'a ping that is too long': {
		bytes: bytesOf({ opcode: OPCODE.ping, payload: 'x'.repeat(126) }),
		codes: [1002],
	},
	'text that is not UTF-8': {
		bytes: bytesOf(text(Buffer.from([0x22, 0xff, 0x22]))),
		codes: [1007],
	},
	'text that is a lone surrogate': {
		bytes: bytesOf(text(Buffer.from([0xed, 0xa0, 0x80]))),
		codes: [1007],
	},
	'text that ends within a character': {
		bytes: bytesOf(text(Buffer.from([0x22, 0xe2, 0x82]))),
		codes: [1007],
	},
	'such text, in fragments': {
		bytes: bytesOf(text(Buffer.from([0x22, 0xe2]), { isFinal: false }), rest(Buffer.from([0x22]))),
		codes: [1007],
	},
	'a length of 2^63 and more': {
		bytes: bytesOf(text(PING, { claimedLength: 2n ** 63n })),
		codes: [1002, 1009],
	},
	'a length of a gigabyte': {
		bytes: bytesOf(text(PING, { claimedLength: 2n ** 30n })),
		codes: [1009],
	},
	'a frame of a megabyte': { bytes: bytesOf(text(CANARY.repeat(80_000))), codes: [1009] },
	'fragments of a megabyte': {
		bytes: bytesOf(
			text(CANARY.repeat(1_000), { isFinal: false }),
			...Array.from({ length: 80 }, () => rest(CANARY.repeat(1_000), false)),
		),
		codes: [1009],
	},
	'a close of one byte': { bytes: bytesOf({ opcode: OPCODE.close, payload: 'x' }), codes: [1002] },
	'no WebSocket at all': { bytes: Buffer.from('GET / HTTP/1.1\r\n\r\n'), codes: [1002] },
};

describe('an upgrade that is none', () => {
	const upgrade = {
		Connection: 'Upgrade',
		Upgrade: 'websocket',
		'Sec-WebSocket-Version': '13',
		'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
	};

	for (const [what, headers] of [
		['no header of an upgrade', {}],
		['no Upgrade', { ...upgrade, Upgrade: undefined }],
		['another Upgrade', { ...upgrade, Upgrade: 'h2c' }],
		['no key', { ...upgrade, 'Sec-WebSocket-Key': undefined }],
		['a key that is too short', { ...upgrade, 'Sec-WebSocket-Key': CANARY }],
		['an old version', { ...upgrade, 'Sec-WebSocket-Version': '8' }],
	] as const) {
		test(`with ${what} is refused`, async () => {
			const all = { 'X-API-Key': scene.tenant.api_key, 'X-User-Id': 'alice', ...headers };
			const given = Object.entries(all).filter(
				(entry): entry is [string, string] => entry[1] !== undefined,
			);
			const request = requestText(used.server, 'GET /ws', Object.fromEntries(given));
			const answer = await exchange(used.server, request);

			// The runtime answers a version that it does not speak before anybody asks us.
			if (answer.status === 426) expect(answer.text).toBe('');
			else expect(problemsOf(answer, { statuses: [400], field: 'Upgrade' })).toEqual([]);
		});
	}
});

describe('what breaks the protocol', () => {
	for (const [what, { bytes, codes }] of Object.entries(VIOLATIONS)) {
		test(`${what} ends this connection only`, async () => {
			const other = await openSocket();
			const socket = await openSocket();
			socket.write(bytes);

			await within(socket.ended, 'the connection to end');
			expect([undefined, ...codes]).toContain(socket.closeCode());
			other.write(bytesOf(text(PING)));
			expect(await other.next(isReply)).toBeDefined();
			other.destroy();
		});
	}
});

describe('what the protocol allows', () => {
	test('a frame in fragments is one frame, with pings answered in between', async () => {
		const socket = await openSocket();
		socket.write(
			bytesOf(
				text(PING.slice(0, 5), { isFinal: false }),
				{ opcode: OPCODE.ping, payload: 'are you there' },
				rest('', false),
				...[...PING.slice(5)].map((character) => rest(character, false)),
				rest(''),
			),
		);

		const pong = await socket.next(({ opcode }) => opcode === OPCODE.pong);
		expect(pong?.payload.toString()).toBe('are you there');
		expect((await socket.next(isReply))?.payload.toString()).toContain('"type":"reply"');
		socket.destroy();
	});

	test('a character may be cut by a fragment, and every byte may come alone', async () => {
		const socket = await openSocket();
		const frame = Buffer.from(
			`{"type":"send_message","request_id":"by-hand","room_id":"${scene.room_id}","content":"€😀"}`,
		);
		const cut = frame.indexOf('€') + 1;
		const bytes = bytesOf(
			text(frame.subarray(0, cut), { isFinal: false }),
			rest(frame.subarray(cut)),
		);
		for (const byte of bytes) socket.write(Buffer.from([byte]));

		const reply = await socket.next((each) => isReply(each) && each.payload.includes('reply'));
		expect(JSON.parse(String(reply?.payload))).toMatchObject({ data: { content: '€😀' } });
		socket.destroy();
	});

	test('an empty text, bytes and a pong nobody asked for leave the socket open', async () => {
		const socket = await openSocket();
		socket.write(
			bytesOf(
				text(''),
				{ opcode: OPCODE.binary, payload: CANARY },
				{ opcode: OPCODE.pong, payload: CANARY },
				text(PING),
			),
		);

		for (let count = 0; count < 2; count++) {
			const error = await socket.next(isText);
			expect(error?.payload.toString()).toContain('VALIDATION_ERROR');
			expect(leaksIn(String(error?.payload))).toEqual([]);
		}
		expect(await socket.next(isReply)).toBeDefined();
		socket.destroy();
	});

	test('a close, with any code and reason, ends the connection', async () => {
		const close = (code: number, reason: string | Uint8Array) => ({
			opcode: OPCODE.close,
			payload: Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason as string)]),
		});
		for (const [code, reason] of [
			[1000, ''],
			[1001, 'gone'],
			[4999, CANARY],
			[999, ''],
			[1005, ''],
			[1006, ''],
			[65_535, CANARY],
			[1000, Buffer.from([0xff, 0xfe])],
		] as const) {
			const socket = await openSocket();
			socket.write(bytesOf(close(code, reason)));
			await within(socket.ended, `the connection to end after a close with ${code}`);
		}
		const empty = await openSocket();
		empty.write(bytesOf({ opcode: OPCODE.close }));
		await within(empty.ended, 'the connection to end after an empty close');
	});
});

test('a connection that is cut in the middle of a frame leaves nothing behind', async () => {
	const frame = frameBytes(
		text(`{"type":"send_message","room_id":"${scene.room_id}","content":"never sent as a whole"}`),
	);
	for (const length of [1, 2, 6, 20, frame.length - 1]) {
		const socket = await openSocket();
		socket.write(frame.subarray(0, length));
		socket.destroy();
		await socket.ended;
	}
	const path = `/rooms/${scene.room_id}/messages`;
	const page = bodyOf(await scene.tenant.as('alice').get<MessagesPage>(path), 200);
	expect(page.messages.filter(({ content }) => content.startsWith('never'))).toEqual([]);
});

test('nobody else noticed, and nothing of it is in the log', async () => {
	expect(await bystander.problems()).toEqual([]);
	expect(problemsInLog(used.server)).toEqual([]);
	expect(used.server.stderr()).toBe('');
	await bystander.close();
});
