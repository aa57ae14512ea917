/**
 * Kill −9 under load: what was answered is there, once, as it was answered. A control that answers
 * before the commit must fail the same checks.
 *
 * `KILLS=500` makes it long, `SEED=…` makes it the same again as far as timing lets it.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bodyOf, httpClient } from '../helpers/http.ts';
import { BINARY, randomSecret } from '../helpers/server.ts';
import type { Message, MessagesPage } from '../helpers/wire.ts';
import { createHistory, type History } from './history.ts';
import { violationsOf } from './invariants.ts';
import { type Ground, prepare, startLoad } from './load.ts';
import { createRandomness, seedOfRun } from './randomness.ts';
import { ANSWERS_BEFORE_COMMIT, sabotaged } from './sabotage.ts';
import { settle } from './settle.ts';
import { report, startVictim, type Victim, type VictimOptions } from './victim.ts';

const KILLS = Number(process.env.KILLS ?? 40);
const ANSWERS_MIN = Math.max(1000, KILLS * 40);
const CONTROL_KILLS_MAX = 10;
const READY_MS_MAX = 5_000;

/** On a RAM disk a kill would meet no write that takes time. */
const TMPFS = 0x01021994;
const ON_DISK = join(import.meta.dir, '../../node_modules/.cache');

let folder: string;
beforeAll(() => {
	const isRam = statfsSync(tmpdir()).type === TMPFS;
	if (isRam) mkdirSync(ON_DISK, { recursive: true });
	folder = mkdtempSync(join(isRam ? ON_DISK : tmpdir(), 'chatapi-crash-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Run {
	history: History;
	grounds: Ground[];
	victim: VictimOptions;
	kills: number;
	answers: number;
	/** What the checks found after the kill that found something first. */
	violations: string[];
	slowestStartMs: number;
}

/** Kills a server under load so many times, and checks after each kill; stops at the first finding. */
async function killRepeatedly(
	command: Pick<VictimOptions, 'command' | 'cwd'>,
	killsMax: number,
	seed: number,
): Promise<Run> {
	const random = createRandomness(seed);
	const victim = {
		...command,
		dataDir: mkdtempSync(join(folder, 'data-')),
		masterKey: randomSecret(),
	};
	const run: Run = {
		history: createHistory(),
		grounds: [],
		victim,
		kills: 0,
		answers: 0,
		violations: [],
		slowestStartMs: 0,
	};
	// By the binary in any case: a control must fail under load, not before.
	const first = await startVictim({ ...victim, command: [BINARY] });
	for (let count = 0; count < 2; count++) {
		run.grounds.push(await prepare(first.url, victim.masterKey, run.history));
	}
	expect(await first.stop()).toBe(0);
	while (run.kills < killsMax && run.violations.length === 0) {
		const server = await startVictim(victim);
		run.slowestStartMs = Math.max(run.slowestStartMs, server.startMs);
		const answersBefore = run.answers;
		const enough = random.between(40, 160);
		let killed: Promise<void> | undefined;
		const kill = async () => {
			// Not at an answer, but at any moment after it.
			await Bun.sleep(random.between(0, 300) / 10);
			await server.kill();
		};
		const load = startLoad({
			url: server.url,
			grounds: run.grounds,
			history: run.history,
			random,
			onAnswer: () => {
				run.answers++;
				if (run.answers - answersBefore >= enough) killed ??= kill();
			},
		});
		await load.ended;
		await killed;
		run.kills++;
		run.violations = violationsAfterKill(run);
	}
	return run;
}

/** Checks a copy of the database as the kill left it: a look at the original would be a first recovery. */
function violationsAfterKill({ victim, history }: Run): string[] {
	const copies = mkdtempSync(join(folder, 'copy-'));
	try {
		for (const name of ['chatapi.db', 'chatapi.db-wal']) {
			const path = join(victim.dataDir, name);
			if (existsSync(path)) copyFileSync(path, join(copies, name));
		}
		return violationsOf(join(copies, 'chatapi.db'), history, { isSettled: false });
	} finally {
		rmSync(copies, { recursive: true });
	}
}

/** Every message of every room, as clients get them. */
async function readAll({ grounds }: Run, { url }: Victim): Promise<Map<string, Message>> {
	const messages = new Map<string, Message>();
	for (const { api_key, room_ids } of grounds) {
		const client = httpClient({ url }, { key: api_key, user: 'carol' });
		for (const room_id of room_ids) {
			for (let after = 0, hasMore = true; hasMore; ) {
				const path = `/rooms/${room_id}/messages?after_seq=${after}&limit=100`;
				const page = bodyOf(await client.get<MessagesPage>(path), 200);
				expect(page.messages.map(({ seq }) => seq)).toEqual(
					page.messages.map((_, index) => after + index + 1),
				);
				for (const message of page.messages) messages.set(message.message_id, message);
				after += page.messages.length;
				hasMore = page.has_more;
			}
		}
	}
	return messages;
}

test(
	`${KILLS} kills under load lose nothing that was answered`,
	async () => {
		const seed = seedOfRun();
		report(`SEED=${seed}`);
		const startedAt = performance.now();

		const run = await killRepeatedly({ command: [BINARY], cwd: folder }, KILLS, seed);

		expect(run.violations).toEqual([]);
		const { history } = run;
		const { cut } = history;
		const server = await startVictim(run.victim);
		await settle(server.url, run.grounds, run.history);
		const messages = await readAll(run, server);
		expect(await server.stop()).toBe(0);
		const path = join(run.victim.dataDir, 'chatapi.db');
		expect(violationsOf(path, history, { isSettled: true })).toEqual([]);
		for (const { ack } of history.sends) {
			if (ack !== undefined) expect(messages.get(ack.message_id)).toEqual(ack);
		}
		expect(run.kills).toBe(KILLS);
		expect(run.answers).toBeGreaterThanOrEqual(ANSWERS_MIN);
		// Kills that never cut an answer off would show nothing.
		expect(cut).toBeGreaterThan(KILLS);
		expect(run.slowestStartMs).toBeLessThan(READY_MS_MAX);
		const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
		report(
			`${run.kills} kills, ${run.answers} answered sends, ${cut} cut off, ` +
				`slowest start ${run.slowestStartMs.toFixed(0)} ms, ${seconds} s`,
		);
	},
	Math.max(90_000, KILLS * 4_000),
);

test('a writer that answers before the commit is caught', async () => {
	const command = sabotaged(folder, ANSWERS_BEFORE_COMMIT);

	const run = await killRepeatedly(command, CONTROL_KILLS_MAX, seedOfRun());

	const lost = run.violations.filter((violation) => violation.startsWith('lost after'));
	report(`the control lost ${lost.length} answered sends by kill ${run.kills}`);
	expect(lost.length).toBeGreaterThan(0);
	expect(lost.some((violation) => violation.startsWith('lost after it was answered'))).toBe(true);
}, 60_000);
