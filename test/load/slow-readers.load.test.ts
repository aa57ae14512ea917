/**
 * Goal 6: readers that never read, beside readers that do. Memory stays bounded, every stuck one is
 * closed and counted, nobody else loses a message, and whoever comes back with a cursor has them all.
 * Sources that keep stuck readers open must fail the same checks.
 *
 * `READERS=500 READERS_SECONDS=60` is the full form.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KEEPS_SLOW_READERS, sabotaged } from '../crash/sabotage.ts';
import { report } from '../crash/victim.ts';
import { BINARY } from '../helpers/server.ts';
import { runSlowReaders, type SlowReadersOutcome } from './slow-readers-run.ts';

const READERS = Number(process.env.READERS ?? 100);
const SECONDS = Number(process.env.READERS_SECONDS ?? 6);
const PER_SECOND = 2_000;
const GROWTH_MIB_MAX = 150;
/** The goal is 2; what shares the cores with a test may take more than that from it. */
const P99_RATIO_MAX = 20;

let folder: string;
beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), 'chatapi-slow-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const shown = (value: number): string => value.toFixed(1);

function summaryOf(outcome: SlowReadersOutcome): string {
	const { alone, beside } = outcome;
	return (
		`${outcome.sent} messages (${shown(outcome.perSecond)}/s), ` +
		`${outcome.closed} stuck readers closed, ${outcome.counted} counted, ` +
		`${outcome.replayed} messages replayed to them, ` +
		`memory ${shown(outcome.baselineMib)} MiB and ${shown(outcome.growthMib)} more, ` +
		`healthy p50 ${shown(alone.p50)} -> ${shown(beside.p50)} ms, ` +
		`p99 ${shown(alone.p99)} -> ${shown(beside.p99)} ms ` +
		`(${(beside.p99 / alone.p99).toFixed(2)}), ${outcome.violations.length} violations`
	);
}

test(
	`${READERS} readers that never read cost nobody a message`,
	async () => {
		const outcome = await runSlowReaders({
			command: { command: [BINARY], cwd: folder },
			folder,
			rooms: Math.max(10, READERS / 25),
			healthy: 50,
			stuck: READERS,
			perSecond: PER_SECOND,
			aloneMs: SECONDS * 500,
			besideMs: SECONDS * 1_000,
			closedMs: 20_000,
		});

		report(summaryOf(outcome));
		expect(outcome.violations.slice(0, 5)).toEqual([]);
		expect(outcome.closed).toBe(READERS);
		expect(outcome.counted).toBe(READERS);
		expect(outcome.growthMib).toBeLessThan(GROWTH_MIB_MAX);
		expect(outcome.beside.p99).toBeLessThan(outcome.alone.p99 * P99_RATIO_MAX);
		// Less would show nothing.
		expect(outcome.perSecond).toBeGreaterThan(PER_SECOND / 4);
		expect(outcome.replayed).toBeGreaterThan(READERS);
	},
	120_000 + SECONDS * 5_000,
);

test('a server that keeps them open and drops what they do not read is caught', async () => {
	const outcome = await runSlowReaders({
		command: sabotaged(folder, KEEPS_SLOW_READERS),
		folder,
		rooms: 2,
		healthy: 4,
		stuck: 8,
		perSecond: PER_SECOND,
		aloneMs: 500,
		besideMs: 4_000,
		closedMs: 500,
	});

	const gaps = outcome.violations.filter((violation) => violation.includes('has a gap'));
	report(`the control: ${outcome.violations[0]}; ${gaps.length} gaps, ${gaps[0]}`);
	expect(gaps.length).toBe(8);
}, 60_000);
