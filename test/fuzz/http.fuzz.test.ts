/**
 * Thousands of requests that are valid but for one thing, over every operation: no 5xx, always the
 * envelope, nothing repeated, the process lives and does not grow. What fails is printed with the
 * smallest request that still fails. See settings.ts for longer runs.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { type Bystander, createBystander } from '../contract/bad-input/judge.ts';
import { createScene, type Scene } from '../contract/bad-input/valid-requests.ts';
import type { Answer } from '../helpers/http.ts';
import { type Declared, openApiOf } from '../helpers/openapi.ts';
import { openConnection, type RawConnection } from '../helpers/raw-http.ts';
import { useServer } from '../helpers/use-server.ts';
import { type Problem, problemsOf } from './checker.ts';
import { residentBytes } from './memory.ts';
import { withIds, withNames } from './names.ts';
import { createRandom } from './random.ts';
import { EXPLAIN_MAX_MS, explain, FINDINGS_MAX, type Finding } from './report.ts';
import { anyRequest } from './requests.ts';
import { FUZZ_COUNT, FUZZ_SEED, FUZZ_TIMEOUT_MS, GROWTH_BYTES_MAX } from './settings.ts';
import { type RequestInput, shrinkRequest } from './shrink.ts';
import { createStand, type Stand } from './stand.ts';

const ENV = { DEFAULT_RATE_LIMIT: '0', MAX_BODY_BYTES: '64KiB' };
const used = useServer(ENV);

const WORKERS = 8;
/** Some requests succeed, and delete what the others are about. */
const REQUESTS_PER_SCENE = 150;

let operations: readonly Declared[];
let bystander: Bystander;

beforeAll(async () => {
	// A socket is opened by a library or not at all; its frames have a fuzz test of their own.
	const all = (await openApiOf(used.server.url)).operations;
	operations = all.filter(({ path }) => path !== '/ws');
	bystander = await createBystander(used.server);
});

/** How many answers had each status; 0 is none. */
const statuses = new Map<number, number>();
const findings: Finding<RequestInput>[] = [];

afterAll(() => {
	console.log(`HTTP: ${[...statuses].sort().map(([status, n]) => `${n} × ${status}`)}`);
});

/** Sends requests one after the other on a connection that is opened again whenever it ends. */
async function work(seed: number, count: number): Promise<void> {
	const random = createRandom(seed);
	let scene: Scene | undefined;
	let connection: RawConnection | undefined;
	for (let sent = 0; sent < count && findings.length < FINDINGS_MAX; sent++) {
		if (scene === undefined || sent % REQUESTS_PER_SCENE === 0) {
			// With a tenant of its own: what went before may have suspended or deleted it.
			scene = await createScene(used.server);
		}
		const { text, mayEnd } = anyRequest(random, random.pick(operations), scene);
		connection ??= await openConnection(used.server);
		connection.write(Buffer.from(text, 'latin1'));
		const answer = await answerOf(connection, mayEnd);
		statuses.set(answer?.status ?? 0, (statuses.get(answer?.status ?? 0) ?? 0) + 1);
		for (const problem of problemsOf(answer, { mayEnd })) {
			findings.push({ problem, input: { text: withNames(text, scene), mayEnd } });
		}
		if (answer === undefined || mayEnd) {
			connection.close();
			connection = undefined;
		}
	}
	connection?.close();
}

async function workTogether(seedOf: (worker: number) => number, count: number): Promise<void> {
	const ends = await Promise.allSettled(
		Array.from({ length: WORKERS }, (_, worker) => work(seedOf(worker), count)),
	);
	// A server that has ended is a finding of those who saw it, and an error to those who were between two
	// requests. It does not matter who learned of it first.
	const failed = ends.find((end) => end.status === 'rejected');
	if (failed !== undefined && findings.length === 0) throw failed.reason;
}

/** Undefined when the connection ended, or, for what may be no whole request, when nothing comes. */
async function answerOf(connection: RawConnection, mayEnd: boolean): Promise<Answer | undefined> {
	try {
		return await connection.answer(mayEnd ? 300 : 5_000);
	} catch {
		return undefined;
	}
}

/** What is wrong with the answer to this request alone, on a connection of its own. */
async function retry({ text, mayEnd }: RequestInput, stand: Stand): Promise<readonly Problem[]> {
	const scene = await stand.scene();
	const connection = await openConnection(scene.tenant.server);
	connection.write(Buffer.from(withIds(text, scene), 'latin1'));
	const answer = await answerOf(connection, mayEnd);
	connection.close();
	// What was refused has changed nothing.
	if (answer === undefined || answer.status < 400 || answer.status >= 500) stand.spoil();
	return problemsOf(answer, { mayEnd });
}

/** Tries what was found again, in scenes of their own, and tells of it. */
async function explained(): Promise<string> {
	const stand = createStand(used.server, ENV);
	try {
		return await explain(findings, {
			problems: (input) => retry(input, stand),
			async shrink(input, fails) {
				// All ids have a length that does not change.
				const scene = await stand.scene();
				return await shrinkRequest(input, fails, (body) => withIds(body, scene).length);
			},
			texts: ({ text }) => [text],
		});
	} finally {
		await stand.close();
	}
}

test(
	'no request that is valid but for one thing brings a 5xx, or anything but the envelope',
	async () => {
		await workTogether((worker) => FUZZ_SEED * 100 + worker, 25);
		const before = residentBytes(used.server.pid);
		await workTogether((worker) => FUZZ_SEED + worker * 1_000_003, Math.ceil(FUZZ_COUNT / WORKERS));
		const after = residentBytes(used.server.pid);

		if (findings.length > 0) console.log(await explained());
		const problems = findings.map(({ problem }) => problem.text.slice(0, 600));
		expect({ seed: FUZZ_SEED, problems }).toEqual({ seed: FUZZ_SEED, problems: [] });
		expect(statuses.get(400)).toBeGreaterThan(FUZZ_COUNT / 10);
		expect(statuses.get(200)).toBeGreaterThan(0);
		expect(await bystander.problems()).toEqual([]);
		if (before !== undefined && after !== undefined) {
			expect(after - before).toBeLessThan(GROWTH_BYTES_MAX);
		}
		await bystander.close();
	},
	FUZZ_TIMEOUT_MS + EXPLAIN_MAX_MS,
);
