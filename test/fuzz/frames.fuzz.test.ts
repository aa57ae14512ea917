/**
 * Thousands of frames that are valid but for one thing, of every type: every one with a request_id
 * is answered exactly once, none is a defect, the process lives and does not grow. What fails is
 * printed with the smallest frames that still fail. See settings.ts for longer runs.
 */
import { beforeAll, expect, test } from 'bun:test';
import { type Bystander, createBystander } from '../contract/bad-input/judge.ts';
import { createScene, type Scene } from '../contract/bad-input/valid-requests.ts';
import { useServer } from '../helpers/use-server.ts';
import { anyFrame, trySocket } from './frames.ts';
import { residentBytes } from './memory.ts';
import { withNames } from './names.ts';
import { createRandom, type Random } from './random.ts';
import { EXPLAIN_MAX_MS, explain, FINDINGS_MAX, type Finding } from './report.ts';
import { FUZZ_COUNT, FUZZ_SEED, FUZZ_TIMEOUT_MS, GROWTH_BYTES_MAX } from './settings.ts';
import { type FrameInput, shrinkFrames } from './shrink.ts';
import { createStand } from './stand.ts';

const ENV = {
	DEFAULT_RATE_LIMIT: '0',
	WS_FRAMES_PER_SECOND: '0',
	WS_MAX_CONNECTIONS_PER_USER: '0',
};
const used = useServer(ENV);

const WORKERS = 8;
/** Ten bad ones within a minute close a socket. */
const FRAMES_PER_SOCKET = 9;

type Frames = readonly FrameInput[];

let scene: Scene;
let bystander: Bystander;

beforeAll(async () => {
	scene = await createScene(used.server);
	bystander = await createBystander(used.server);
});

const anyFrames = (random: Random, name: string): Frames =>
	Array.from({ length: FRAMES_PER_SOCKET }, (_, index) =>
		anyFrame(random, scene.room_id, `${name}-${index}`),
	);

const named = (frames: Frames): Frames =>
	frames.map((frame) => ({ ...frame, text: withNames(frame.text, scene) }));

/** Tries sockets one after the other, unless there are findings enough. */
async function work(
	{ seed, name, sockets }: { seed: number; name: string; sockets: number },
	findings: Finding<Frames>[],
): Promise<void> {
	const random = createRandom(seed);
	for (let socket = 0; socket < sockets && findings.length < FINDINGS_MAX; socket++) {
		const frames = anyFrames(random, `${name}-${socket}`);
		const problems = await trySocket(scene, frames).catch((error) => {
			// A server that has ended is a finding of the sockets that saw it; the others come too late.
			if (findings.length === 0) throw error;
			return [];
		});
		findings.push(...problems.map((problem) => ({ problem, input: named(frames) })));
	}
}

/** Tries what was found again, in rooms of their own, and tells of it. */
async function explained(findings: readonly Finding<Frames>[]): Promise<string> {
	const stand = createStand(used.server, ENV);
	try {
		return await explain(findings, {
			async problems(frames) {
				const own = await stand.scene();
				stand.spoil();
				return await trySocket(own, frames);
			},
			shrink: shrinkFrames,
			texts: (frames) => frames.map(({ text }) => text),
		});
	} finally {
		await stand.close();
	}
}

test(
	'every frame that is valid but for one thing is answered once, and none is a defect',
	async () => {
		const findings: Finding<Frames>[] = [];
		await work({ seed: FUZZ_SEED, name: 'warm-up', sockets: 1 }, findings);
		const before = residentBytes(used.server.pid);
		const sockets = Math.ceil(FUZZ_COUNT / FRAMES_PER_SOCKET / WORKERS);
		await Promise.all(
			Array.from({ length: WORKERS }, (_, worker) =>
				work({ seed: FUZZ_SEED + worker * 1_000_003, name: `w${worker}`, sockets }, findings),
			),
		);
		const after = residentBytes(used.server.pid);

		if (findings.length > 0) console.log(await explained(findings));
		const problems = findings.map(({ problem }) => problem.text);
		expect({ seed: FUZZ_SEED, problems }).toEqual({ seed: FUZZ_SEED, problems: [] });
		expect(await bystander.problems()).toEqual([]);
		if (before !== undefined && after !== undefined) {
			expect(after - before).toBeLessThan(GROWTH_BYTES_MAX);
		}
		await bystander.close();
	},
	FUZZ_TIMEOUT_MS + EXPLAIN_MAX_MS,
);
