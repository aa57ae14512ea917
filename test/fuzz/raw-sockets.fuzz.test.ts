/**
 * Bytes on sockets, from frames with a wrong bit to noise: whatever comes of it, it ends that socket
 * at most. When somebody else notices, the bytes are printed, as few as still do it.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { type Bystander, createBystander } from '../contract/bad-input/judge.ts';
import { frameBytes, OPCODE, openRawSocket } from '../contract/bad-input/raw-socket.ts';
import { createScene, type Scene } from '../contract/bad-input/valid-requests.ts';
import { useServer } from '../helpers/use-server.ts';
import { within } from '../helpers/wait.ts';
import { anyFrame } from './frames.ts';
import { mutateBytes } from './mutations.ts';
import { createRandom, type Random } from './random.ts';
import { EXPLAIN_MAX_MS, explain } from './report.ts';
import { FUZZ_COUNT, FUZZ_SEED, FUZZ_TIMEOUT_MS } from './settings.ts';
import { type FrameInput, shrinkFrames } from './shrink.ts';
import { createStand } from './stand.ts';

const ENV = {
	DEFAULT_RATE_LIMIT: '0',
	WS_FRAMES_PER_SECOND: '0',
	WS_MAX_CONNECTIONS_PER_USER: '0',
};
const used = useServer(ENV);

/** What was sent on one socket: its bytes, each as a character. */
type Sent = FrameInput;

/** After so many sockets, it is asked whether anybody has noticed. */
const SOCKETS_PER_LOOK = 50;

let scene: Scene;
let bystander: Bystander;
beforeAll(async () => {
	scene = await createScene(used.server);
	bystander = await createBystander(used.server);
});
afterAll(() => bystander.close());

function anyBytes(random: Random, name: string): Sent {
	const frames = Array.from({ length: 1 + random.below(3) }, () => {
		const frame = frameBytes({
			opcode: random.chance(0.7) ? OPCODE.text : random.below(16),
			payload: anyFrame(random, scene.room_id, name).text.slice(0, 2_000),
			isFinal: random.chance(0.8),
			isMasked: random.chance(0.9),
			reserved: random.chance(0.9) ? 0 : random.below(8),
		});
		return random.chance(0.6) ? frame : mutateBytes(random, frame.toString('latin1'));
	});
	return { text: Buffer.concat(frames).toString('latin1'), isBinary: true };
}

/** Sends each on a socket of its own, and tells what the bystander has to complain about. */
async function complaints(
	{ tenant }: Scene,
	beside: Bystander,
	sent: readonly Sent[],
): Promise<string[]> {
	const headers = { 'X-API-Key': tenant.api_key, 'X-User-Id': 'alice' };
	try {
		for (const { text } of sent) {
			const socket = await openRawSocket(tenant.server, headers);
			socket.write(Buffer.from(text, 'latin1'));
			// A ping that is read as one is answered; else the connection ends, or waits for more.
			socket.write(frameBytes({ opcode: OPCODE.ping }));
			const pong = socket.next(({ opcode }) => opcode === OPCODE.pong);
			await within(pong, 'a pong', 20).catch(() => {});
			socket.destroy();
			await socket.ended;
		}
		return await beside.problems();
	} catch (error) {
		// Whoever comes next has nobody to talk to.
		return [`somebody else: ${error}`];
	}
}

async function explained(text: string, sent: readonly Sent[]): Promise<string> {
	const stand = createStand(used.server, ENV);
	const kind = 'somebody noticed';
	try {
		return await explain([{ problem: { kind, text }, input: sent }], {
			async problems(some) {
				const own = await stand.scene();
				stand.spoil();
				const beside = await createBystander(own.tenant.server);
				const found = await complaints(own, beside, some);
				await beside.close().catch(() => {});
				return found.map((complaint) => ({ kind, text: complaint }));
			},
			shrink: shrinkFrames,
			texts: (some) => some.map((each) => each.text),
		});
	} finally {
		await stand.close();
	}
}

test(
	'no bytes on a socket end more than that socket',
	async () => {
		const random = createRandom(FUZZ_SEED);
		const looks = Math.ceil(FUZZ_COUNT / 50 / SOCKETS_PER_LOOK);
		for (let look = 0; look < looks; look++) {
			const sent = Array.from({ length: SOCKETS_PER_LOOK }, (_, index) =>
				anyBytes(random, `raw-${look}-${index}`),
			);
			const found = await complaints(scene, bystander, sent);
			if (found.length > 0) console.log(await explained(found.join(), sent));
			expect({ seed: FUZZ_SEED, found }).toEqual({ seed: FUZZ_SEED, found: [] });
		}
	},
	FUZZ_TIMEOUT_MS + EXPLAIN_MAX_MS,
);
