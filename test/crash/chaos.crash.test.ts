/**
 * Chaos: clients whose connections break at any byte, senders that repeat blindly, members who come
 * and go, and a server that is killed and started again. Every client is told exactly what it must be,
 * in order and once; sources with a small defect in resuming are caught by the same checks.
 *
 * `CHAOS_KILLS=50` makes it long, `SEED=…` makes it the same again as far as timing lets it.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BINARY } from '../helpers/server.ts';
import { type Outcome, runChaos } from './chaos-run.ts';
import { seedOfRun } from './randomness.ts';
import { sabotaged } from './sabotage.ts';
import { report } from './victim.ts';

const KILLS = Number(process.env.CHAOS_KILLS ?? 3);
const STRETCH_MS = 2_500;
const CATCH_UP_MS = 10_000;
const CONTROL_STRETCH_MS = 1_500;
const CONTROL_CATCH_UP_MS = 500;

let folder: string;
beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), 'chatapi-chaos-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const summaryOf = ({ violations, sends, told, cuts, resumed, changes, returns }: Outcome): string =>
	`${sends} sends, ${told} events told, ${cuts} cuts, ${resumed} resumed sockets, ` +
	`${changes} changes of membership, ${returns} while away, ${violations.length} violations`;

test(
	`${KILLS} kills and hundreds of cuts take nothing from 50 clients, and give nothing twice`,
	async () => {
		const seed = seedOfRun();
		report(`SEED=${seed}`);

		const command = { command: [BINARY] as const, cwd: folder };
		const outcome = await runChaos({
			folder,
			command,
			seed,
			kills: KILLS,
			stretchMs: STRETCH_MS,
			catchUpMs: CATCH_UP_MS,
		});

		report(summaryOf(outcome));
		expect(outcome.violations.slice(0, 5)).toEqual([]);
		// Less would show nothing.
		expect(outcome.sends).toBeGreaterThan(KILLS * 50);
		expect(outcome.resumed).toBeGreaterThan(50 * KILLS);
		expect(outcome.changes).toBeGreaterThan(KILLS * 3);
		expect(outcome.returns).toBeGreaterThan(0);
	},
	60_000 + KILLS * 2 * STRETCH_MS,
);

describe('sources with a defect are caught', () => {
	const file = 'src/ws/following.ts';
	const before = 'return replay(socket, caller, start.after, seen);';
	const defects = {
		'that go live without what was missed': {
			file,
			before,
			after: 'return replay(socket, caller, ends.last_cursor, seen);',
			shows: / was told \d+ of \d+ events/,
		},
		'that go on one event too late': {
			file,
			before,
			after: 'return replay(socket, caller, start.after + 1, seen);',
			shows: / was told \d+ of \d+ events/,
		},
		'that go on one event too early': {
			file,
			before,
			after: 'return replay(socket, caller, Math.max(0, start.after - 1), seen);',
			shows: /^user\d+: \S+ \S+ after /,
		},
		'that tell nobody who resumes where the others are': {
			file: 'src/features/receipts/service/positions.ts',
			before: 'if (untold.length === 0) return undefined;',
			after: 'if (untold.length >= 0) return undefined;',
			shows: /^user\d+ has \S+ at /,
		},
		'that leave a removed member subscribed': {
			file: 'src/realtime/hub.ts',
			before:
				'roomTopic(effect.room_id));\n\t\t\t\t\treturn forUser(effect, (connection) => connection.unsubscribe(topic));',
			after: 'roomTopic(effect.room_id)); return;',
			shows: /^user\d+: \S+ \S+ after |removed|told \d+ of/,
		},
	};
	for (const [what, { shows, ...defect }] of Object.entries(defects)) {
		test(what, async () => {
			const command = sabotaged(folder, [defect]);

			const outcome = await runChaos({
				folder,
				command,
				seed: seedOfRun(),
				kills: 0,
				stretchMs: CONTROL_STRETCH_MS,
				catchUpMs: CONTROL_CATCH_UP_MS,
			});

			const shown = outcome.violations.find((violation) => shows.test(violation));
			report(`${what}: ${shown}`);
			expect(shown).toBeDefined();
		}, 60_000);
	}
});
