/** Kicking a member out of a busy room: nothing said after the kick gets through, on any way. */
import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PUBLISHES_BEFORE_EFFECTS, RESUMES_BEYOND_REMOVAL, sabotaged } from '../crash/sabotage.ts';
import { type ServerOptions, startServer } from '../helpers/server.ts';
import { type KickRun, kickUnderLoad } from './kick-load.ts';

const KICKS = 20;
const TIMEOUT_MS = 120_000;
const env = { DEFAULT_RATE_LIMIT: '0', WS_FRAMES_PER_SECOND: '0' };

async function runWith(options: ServerOptions, kicks: number): Promise<KickRun> {
	const server = await startServer({ env, ...options });
	try {
		return await kickUnderLoad(server, kicks);
	} finally {
		await server.kill();
	}
}

test(
	'lets nothing of the room through to who was kicked, on three sockets, over REST, by resuming',
	async () => {
		const run = await runWith({}, KICKS);

		const perSecond = Math.round(run.messages / run.seconds);
		console.log(`${run.kicks} kicks, ${run.messages} messages, ${perSecond} a second`);
		expect(run.violations).toEqual([]);
		expect(run.kicks).toBe(KICKS);
		// What was looked at flowed: to the member too, while it was one.
		expect(run.toldBefore).toBeGreaterThan(KICKS * 15);
		expect(perSecond).toBeGreaterThan(300);
	},
	TIMEOUT_MS,
);

for (const [what, patches, seen] of [
	['tells before its sockets leave', PUBLISHES_BEFORE_EFFECTS, /socket \d was told/],
	['does not know where a stay ended', RESUMES_BEYOND_REMOVAL, /resuming told of/],
] as const) {
	test(
		`and this would be seen: of a server that ${what}`,
		async () => {
			const folder = mkdtempSync(join(tmpdir(), 'chatapi-kick-'));
			try {
				const run = await runWith({ instead: sabotaged(folder, patches) }, 5);

				expect(run.violations.join('\n')).toMatch(seen);
			} finally {
				rmSync(folder, { recursive: true, force: true });
			}
		},
		TIMEOUT_MS,
	);
}
