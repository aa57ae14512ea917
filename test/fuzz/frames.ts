/** Frames that are valid but for one thing, and a socket that sends them. */
import type { Scene } from '../contract/bad-input/valid-requests.ts';
import { FRAME_FIELDS } from '../contract/isolation/requests.ts';
import { eventually } from '../helpers/wait.ts';
import { createFrameLedger, type Problem } from './checker.ts';
import { anyJson, anyText, mutateBytes, mutateObject } from './mutations.ts';
import { withIds } from './names.ts';
import type { Random } from './random.ts';
import type { FrameInput } from './shrink.ts';

/** A frame of some type, with one thing changed about it. */
export function anyFrame(random: Random, room_id: string, request_id: string): FrameInput {
	const type = random.pick(Object.keys(FRAME_FIELDS));
	const fields = { ...FRAME_FIELDS[type] };
	if ('room_id' in fields) fields.room_id = room_id;
	if ('client_msg_id' in fields) fields.client_msg_id = `c${random.below(50)}`;
	const frame = { type, request_id, ...fields };
	const valid = JSON.stringify(frame);
	const nested = { type, request_id };
	const textual = (text: string): FrameInput => ({ text, isBinary: false });
	return random.weighted<() => FrameInput>([
		[2, () => textual(valid)],
		[20, () => textual(mutateObject(random, frame))],
		[3, () => textual(mutateObject(random, { ...nested, data: fields }))],
		[
			3,
			() =>
				textual(`${JSON.stringify(nested).slice(0, -1)},"data":${mutateObject(random, fields)}}`),
		],
		// A frame of text that is not UTF-8 is the runtime's to refuse; see rfc6455.contract.test.ts.
		[3, () => textual(mutateBytes(random, valid).toString('latin1'))],
		[1, () => textual(anyJson(random))],
		[1, () => textual(anyText(random).toWellFormed())],
		[1, () => ({ text: mutateBytes(random, valid).toString('latin1'), isBinary: true })],
	])();
}

/** For an answer that comes late although the answer to something later is there. */
const GRACE_MS = 500;

/** Sends the frames on a socket of its own and returns what was wrong with the answers. */
export async function trySocket(
	scene: Scene,
	frames: readonly FrameInput[],
): Promise<readonly Problem[]> {
	const ledger = createFrameLedger();
	const { server, api_key } = scene.tenant;
	const ws = new WebSocket(`${server.url.replace('http', 'ws')}/ws`, {
		headers: { 'X-API-Key': api_key, 'X-User-Id': 'alice' },
	});
	const types: string[] = [];
	let isLastAnswered = false;
	let closed: string | undefined;
	ws.onmessage = ({ data }) => {
		const { type, request_id } = JSON.parse(data);
		types.push(String(type));
		if (request_id === LAST) isLastAnswered = true;
		ledger.received(data);
	};
	ws.onclose = ({ code, reason }) => {
		closed = `${code} ${reason}`;
	};
	const send = (text: string) => {
		ledger.sent(text);
		ws.send(text);
	};
	await eventually(() => types.includes('connected') || closed !== undefined, 5_000, 'a socket');
	if (!types.includes('connected')) throw new Error(`No socket: ${closed}`);
	for (const { text, isBinary } of frames) {
		if (isBinary) {
			// Bytes are refused before anybody reads them.
			ledger.sent('');
			ws.send(Buffer.from(withIds(text, scene), 'latin1'));
		} else send(withIds(text, scene));
	}
	const { room_id } = scene;
	send(JSON.stringify({ type: 'send_message', request_id: LAST, room_id, content: 'last' }));
	await eventually(() => isLastAnswered || closed !== undefined, 5_000).catch(() => {});
	await eventually(() => ledger.isSettled || closed !== undefined, GRACE_MS).catch(() => {});
	const early = closed === undefined ? [] : [closedEarly(closed)];
	// Whatever else was coming has come before the answer to this.
	const pongs = types.filter((type) => type === 'pong').length;
	ws.send('{"type":"ping"}');
	await eventually(
		() => types.filter((type) => type === 'pong').length > pongs || closed !== undefined,
	).catch(() => {});
	ws.close();
	await eventually(() => closed !== undefined, 5_000, 'a socket to close');
	return [...early, ...ledger.problems()];
}

/** The id of a write that is sent last: a socket's writes are done in their order. */
const LAST = 'the-last-one';

const closedEarly = (how: string): Problem => ({
	kind: 'closed',
	text: `the socket was closed: ${how}`,
});
