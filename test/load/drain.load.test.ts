/**
 * Goal 14: SIGTERM in the middle of load, again and again over the same data. Every answer is kept,
 * whatever was stored was answered, every socket is told and closed with its code, and the process ends
 * with 0 within SHUTDOWN_DRAIN_TIMEOUT. A server that cuts first must fail the same checks.
 *
 * `STOPS=50` makes it long, `SEED=…` makes it the same again as far as timing lets it.
 */
import { Database } from 'bun:sqlite';
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHistory, type History, type Send } from '../crash/history.ts';
import { violationsOf } from '../crash/invariants.ts';
import { type Ground, prepare } from '../crash/load.ts';
import { createRandomness, seedOfRun } from '../crash/randomness.ts';
import { CUTS_BEFORE_IT_DRAINS, sabotaged } from '../crash/sabotage.ts';
import { settle } from '../crash/settle.ts';
import { report, startVictim, type VictimOptions } from '../crash/victim.ts';
import { BINARY, randomSecret } from '../helpers/server.ts';
import { within } from '../helpers/wait.ts';
import { startDrainLoad } from './drain-load.ts';

const STOPS = Number(process.env.STOPS ?? 8);
const CONTROL_STOPS = 2;
const DRAIN_TIMEOUT_MS = 8_000;
/** Closing the files comes after the deadline, on cores that others use too. */
const SLACK_MS = 2_000;
const CLIENTS = { http: 8, sockets: 4, listeners: 20, waiting: 2 };
const BEFORE_STOP_MS = { from: 50, to: 600 };

let folder: string;
beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), 'chatapi-drain-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
	victim: VictimOptions;
	history: History;
	grounds: Ground[];
	violations: string[];
	answered: number;
	refused: number;
	sockets: number;
	unanswered: number;
	slowestStopMs: number;
}

/** Stops a server under load so many times. */
async function stopRepeatedly(
	command: Pick<VictimOptions, 'command' | 'cwd'>,
	stops: number,
	seed: number,
): Promise<Outcome> {
	const random = createRandomness(seed);
	const masterKey = randomSecret();
	const env = { SHUTDOWN_DRAIN_TIMEOUT: `${DRAIN_TIMEOUT_MS}ms`, WS_MAX_CONNECTIONS_PER_USER: '0' };
	const victim = { ...command, dataDir: mkdtempSync(join(folder, 'data-')), masterKey, env };
	const history = createHistory();
	const outcome: Outcome = {
		...{ victim, history, grounds: [], violations: [] },
		...{ answered: 0, refused: 0, sockets: 0, unanswered: 0, slowestStopMs: 0 },
	};
	const path = join(victim.dataDir, 'chatapi.db');
	let quiet: Ground | undefined;
	for (let stop = 0; stop < stops && outcome.violations.length === 0; stop++) {
		const server = await startVictim(victim);
		while (outcome.grounds.length < 2) {
			outcome.grounds.push(await prepare(server.url, masterKey, history));
		}
		quiet ??= await prepare(server.url, masterKey, history);
		const { grounds } = outcome;
		const load = startDrainLoad({
			...{ url: server.url, grounds, quiet, history, random, clients: CLIENTS },
		});
		await within(load.ready, 'the clients to connect');
		await Bun.sleep(random.between(BEFORE_STOP_MS.from, BEFORE_STOP_MS.to));
		const stoppedAt = performance.now();
		const exitCode = await server.stop();
		const ms = performance.now() - stoppedAt;
		await load.ended;

		if (exitCode !== 0) outcome.violations.push(`it ended with ${exitCode}`);
		if (ms > DRAIN_TIMEOUT_MS + SLACK_MS) outcome.violations.push(`it took ${ms} ms to end`);
		outcome.violations.push(
			...cutRequests(path, load.unanswered),
			...violationsOf(path, history, { isSettled: false }),
		);
		outcome.slowestStopMs = Math.max(outcome.slowestStopMs, ms);
		outcome.answered += load.counts.answered;
		outcome.refused += load.counts.refused;
		outcome.sockets += load.counts.sockets;
		outcome.unanswered += load.unanswered.length;
	}
	return outcome;
}

/** Sends that were taken, for they are stored, and whose answer never came. */
function cutRequests(path: string, unanswered: readonly Send[]): string[] {
	const db = new Database(path, { readonly: true });
	try {
		const find = db.query('SELECT seq FROM messages WHERE content = ?');
		return unanswered
			.filter(({ content }) => find.get(content) !== null)
			.map((send) => `a send was stored and not answered: ${JSON.stringify(send)}`);
	} finally {
		db.close();
	}
}

const summaryOf = (outcome: Outcome): string =>
	`${outcome.answered} answered sends, ${outcome.refused} refused while it drained, ` +
	`${outcome.unanswered} never taken, ${outcome.sockets} sockets told, ` +
	`slowest stop ${outcome.slowestStopMs.toFixed(0)} ms, ${outcome.violations.length} violations`;

test(
	`${STOPS} stops under load lose nothing, cut nothing, and tell everybody`,
	async () => {
		const seed = seedOfRun();
		report(`SEED=${seed}`);

		const outcome = await stopRepeatedly({ command: [BINARY], cwd: folder }, STOPS, seed);

		report(`${STOPS} stops: ${summaryOf(outcome)}`);
		expect(outcome.violations.slice(0, 5)).toEqual([]);
		const { victim, history, grounds } = outcome;
		const server = await startVictim(victim);
		await settle(server.url, grounds, history);
		expect(await server.stop()).toBe(0);
		const path = join(victim.dataDir, 'chatapi.db');
		expect(violationsOf(path, history, { isSettled: true })).toEqual([]);
		// Less would show nothing.
		expect(outcome.answered).toBeGreaterThan(STOPS * 50);
		expect(outcome.refused).toBeGreaterThan(0);
		expect(outcome.sockets).toBe(STOPS * 2 * (CLIENTS.sockets + CLIENTS.listeners));
	},
	60_000 + STOPS * (DRAIN_TIMEOUT_MS + SLACK_MS),
);

test('a server that cuts its connections before it drains is caught', async () => {
	const command = sabotaged(folder, CUTS_BEFORE_IT_DRAINS);

	const { violations } = await stopRepeatedly(command, CONTROL_STOPS, seedOfRun());

	const cut = violations.filter((violation) => !violation.startsWith('a socket'));
	report(`the control: ${violations[0]}; ${cut[0]}`);
	expect(violations).toContain('a socket was not told of the shutdown');
	expect(cut).not.toEqual([]);
}, 60_000);
