/**
 * Thousands of frames that are valid but for one thing, of every type: every one with a request_id
 * is answered exactly once, none is a defect, the process lives and does not grow.
 */
import { beforeAll, expect, test } from 'bun:test';
import { type Bystander, createBystander } from '../contract/bad-input/judge.ts';
import { frameBytes, OPCODE, openRawSocket } from '../contract/bad-input/raw-socket.ts';
import { createScene, type Scene } from '../contract/bad-input/valid-requests.ts';
import { FRAME_FIELDS } from '../contract/isolation/requests.ts';
import { useServer } from '../helpers/use-server.ts';
import { eventually, within } from '../helpers/wait.ts';
import { createFrameLedger } from './checker.ts';
import { residentBytes } from './memory.ts';
import { anyJson, anyText, mutateBytes, mutateObject } from './mutations.ts';
import { createRandom, type Random } from './random.ts';
import { FUZZ_COUNT, FUZZ_SEED, FUZZ_TIMEOUT_MS, GROWTH_BYTES_MAX } from './settings.ts';

const used = useServer({
	DEFAULT_RATE_LIMIT: '0',
	WS_FRAMES_PER_SECOND: '0',
	WS_MAX_CONNECTIONS_PER_USER: '0',
});

const WORKERS = 8;
/** Ten bad ones within a minute close a socket. */
const FRAMES_PER_SOCKET = 9;

let scene: Scene;
let bystander: Bystander;

beforeAll(async () => {
	scene = await createScene(used.server);
	bystander = await createBystander(used.server);
});

/** A frame of some type, with one thing changed about it. */
function anyFrame(random: Random, id: string): string | Uint8Array {
	const type = random.pick(Object.keys(FRAME_FIELDS));
	const fields = { ...FRAME_FIELDS[type] };
	if ('room_id' in fields) fields.room_id = scene.room_id;
	if ('client_msg_id' in fields) fields.client_msg_id = `c${random.below(50)}`;
	const frame = { type, request_id: id, ...fields };
	const valid = JSON.stringify(frame);
	const nested = { type, request_id: id };
	return random.weighted<() => string | Uint8Array>([
		[2, () => valid],
		[20, () => mutateObject(random, frame)],
		[3, () => mutateObject(random, { ...nested, data: fields })],
		[3, () => `${JSON.stringify(nested).slice(0, -1)},"data":${mutateObject(random, fields)}}`],
		// A frame of text that is not UTF-8 is the runtime's to refuse; see rfc6455.contract.test.ts.
		[3, () => mutateBytes(random, valid).toString('latin1')],
		[1, () => anyJson(random)],
		[1, () => anyText(random).toWellFormed()],
		[1, () => new Uint8Array(mutateBytes(random, valid))],
	])();
}

/** Sends a socket's worth of frames and returns what was wrong with the answers. */
async function trySocket(random: Random, name: string): Promise<string[]> {
	const ledger = createFrameLedger();
	const { api_key } = scene.tenant;
	const ws = new WebSocket(`${used.server.url.replace('http', 'ws')}/ws`, {
		headers: { 'X-API-Key': api_key, 'X-User-Id': 'alice' },
	});
	const types: string[] = [];
	let closed: string | undefined;
	ws.onmessage = ({ data }) => {
		types.push(String(JSON.parse(data).type));
		ledger.received(data);
	};
	ws.onclose = ({ code, reason }) => {
		closed = `${code} ${reason}`;
	};
	await eventually(() => types.includes('connected'), 5_000, 'a socket');
	for (let sent = 0; sent < FRAMES_PER_SOCKET; sent++) {
		const frame = anyFrame(random, `${name}-${sent}`);
		// Bytes are refused before anybody reads them.
		ledger.sent(typeof frame === 'string' ? frame : '');
		ws.send(frame as string);
	}
	await eventually(() => ledger.isSettled || closed !== undefined, 5_000).catch(() => {});
	const early = closed === undefined ? [] : [`the socket was closed: ${closed}`];
	// Whatever else was coming has come before the answer to this.
	const pongs = types.filter((type) => type === 'pong').length;
	ws.send('{"type":"ping"}');
	await eventually(() => types.filter((type) => type === 'pong').length > pongs).catch(() => {});
	ws.close();
	await eventually(() => closed !== undefined, 5_000, 'a socket to close');
	return [...early, ...ledger.violations()];
}

test(
	'every frame that is valid but for one thing is answered once, and none is a defect',
	async () => {
		const violations: string[] = [];
		const sockets = Math.ceil(FUZZ_COUNT / FRAMES_PER_SOCKET / WORKERS);
		const work = async (worker: number) => {
			const random = createRandom(FUZZ_SEED + worker * 1_000_003);
			for (let socket = 0; socket < sockets && violations.length < 50; socket++) {
				violations.push(...(await trySocket(random, `w${worker}-${socket}`)));
			}
		};
		await trySocket(createRandom(FUZZ_SEED), 'warm-up');
		const before = residentBytes(used.server.pid);
		await Promise.all(Array.from({ length: WORKERS }, (_, worker) => work(worker)));
		const after = residentBytes(used.server.pid);

		expect({ seed: FUZZ_SEED, violations }).toEqual({ seed: FUZZ_SEED, violations: [] });
		expect(await bystander.problems()).toEqual([]);
		if (before !== undefined && after !== undefined) {
			expect(after - before).toBeLessThan(GROWTH_BYTES_MAX);
		}
	},
	FUZZ_TIMEOUT_MS,
);

test(
	'no bytes on a socket end more than that socket',
	async () => {
		const random = createRandom(FUZZ_SEED);
		const headers = { 'X-API-Key': scene.tenant.api_key, 'X-User-Id': 'alice' };
		const tries = Math.ceil(FUZZ_COUNT / 50);
		for (let count = 0; count < tries; count++) {
			const socket = await openRawSocket(used.server, headers);
			const frames = Array.from({ length: 1 + random.below(3) }, () => {
				const frame = frameBytes({
					opcode: random.chance(0.7) ? OPCODE.text : random.below(16),
					payload: String(anyFrame(random, `raw-${count}`)).slice(0, 2_000),
					isFinal: random.chance(0.8),
					isMasked: random.chance(0.9),
					reserved: random.chance(0.9) ? 0 : random.below(8),
				});
				return random.chance(0.6) ? frame : mutateBytes(random, frame.toString('latin1'));
			});
			socket.write(Buffer.concat(frames));
			// A ping that is read as one is answered; else the connection ends, or waits for more.
			socket.write(frameBytes({ opcode: OPCODE.ping }));
			const pong = socket.next(({ opcode }) => opcode === OPCODE.pong);
			await within(pong, 'a pong', 20).catch(() => {});
			socket.destroy();
			await socket.ended;
		}
		expect(await bystander.problems()).toEqual([]);
		await bystander.close();
	},
	FUZZ_TIMEOUT_MS,
);
