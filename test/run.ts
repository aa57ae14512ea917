/** Runs every check and every test there is, and sums them up in its last line: `npm test`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { run } from './runner/command.ts';
import type { Tally } from './runner/report.ts';
import { runSuite, scheduleOf } from './runner/suite-run.ts';
import {
	ALLOWED_SKIPS,
	type Check,
	RUN_DEADLINE_MS,
	STEPS,
	type Step,
	type Suite,
} from './runner/suites.ts';

const ROOT = join(import.meta.dir, '..');
const IS_CI = process.env.CI === 'true';

/**
 * How many test files run at once. Many of them wait a good part of their time, so that even one core
 * serves two; what they wait for has deadlines, so that no core serves more.
 */
const LANES_DEFAULT = Math.min(8, Math.max(2, availableParallelism()));
const LANES_MAX = 64;

const HELP = `Usage: npm test [-- [--only <step>[,<step>…]] [--lanes <number>]]

Runs, in this order:
${STEPS.map(({ name, summary }) => `  ${name.padEnd(10)} ${summary}`).join('\n')}

  --only   just these steps; the binary is built where one of them needs it
  --lanes  how many test files run at once where a step allows it (here ${LANES_DEFAULT})
  --help   this text

Under CI=true a skipped test fails unless test/runner/suites.ts lists it.`;

interface Plan {
	steps: Step[];
	lanes: number;
}

/** What to run, or what is wrong with the arguments. */
function planOf(args: string[]): Plan | { exitCode: number; text: string } {
	let only: string[];
	let lanes: number;
	try {
		const { values } = parseArgs({
			args,
			options: {
				only: { type: 'string', multiple: true, default: [] },
				lanes: { type: 'string', default: String(LANES_DEFAULT) },
				help: { type: 'boolean', short: 'h', default: false },
			},
		});
		if (values.help) return { exitCode: 0, text: HELP };
		only = values.only.flatMap((names) => names.split(',')).filter((name) => name !== '');
		lanes = Number(values.lanes);
	} catch (error) {
		return { exitCode: 2, text: `${error instanceof Error ? error.message : error}\n\n${HELP}` };
	}
	const unknown = only.filter((name) => !STEPS.some((step) => step.name === name));
	if (unknown.length > 0)
		return { exitCode: 2, text: `No step is called ${unknown.join(', ')}\n\n${HELP}` };
	if (!Number.isInteger(lanes) || lanes < 1 || lanes > LANES_MAX)
		return { exitCode: 2, text: `--lanes is a number from 1 to ${LANES_MAX}\n\n${HELP}` };
	if (only.length === 0) return { steps: STEPS.filter((step) => !isLeftOut(step)), lanes };
	const wanted = STEPS.filter((step) => only.includes(step.name));
	const needsBuild = wanted.some((step) => step.kind === 'suite' && step.needsBuild);
	const steps = STEPS.filter(
		(step) => wanted.includes(step) || (step.name === 'build' && needsBuild),
	);
	return { steps, lanes };
}

const isLeftOut = (step: Step): boolean =>
	step.kind === 'suite' && step.isOptional === true && filesOf(step).length === 0;

const filesOf = (suite: Suite): string[] =>
	[
		...new Set(suite.files.flatMap((glob) => [...new Bun.Glob(glob).scanSync({ cwd: ROOT })])),
	].sort();

const NOTHING: Tally = { passed: 0, failed: [], skipped: [], problems: [] };

async function runCheck(check: Check, deadlineMs: number): Promise<Tally> {
	const command = ['npm', 'run', '--silent', check.script] as const;
	const { exitCode, isLate, output } = await run([...command], { cwd: ROOT, deadlineMs });
	if (exitCode === 0 && !isLate) return { ...NOTHING, passed: 1 };
	console.log(output.trimEnd());
	const how = isLate ? `not done after ${deadlineMs / 1000} s` : `exit code ${exitCode}`;
	return { ...NOTHING, failed: [`npm run ${check.script}: ${how}`] };
}

/** What every step of a run is told. */
interface Setting {
	lanes: number;
	/** The folder for what `bun test` reports. */
	reports: string;
}

async function runFiles(suite: Suite, deadlineMs: number, setting: Setting): Promise<Tally> {
	const result = await runSuite({
		...setting,
		schedule: scheduleOf(filesOf(suite), suite),
		deadlineMs,
		root: ROOT,
		isCi: IS_CI,
		allowedSkips: ALLOWED_SKIPS,
		print: console.log,
	});
	console.log('   Longest:');
	for (const { file, seconds } of result.slowest)
		console.log(`   ${seconds.toFixed(1).padStart(6)} s  ${file}`);
	return result;
}

async function runStep(step: Step, deadlineMs: number, setting: Setting): Promise<Tally> {
	console.log(`\n== ${step.name}: ${step.summary}`);
	if (deadlineMs <= 0) return { ...NOTHING, problems: ['no time was left to run it'] };
	const startedAt = performance.now();
	const limitMs = Math.min(deadlineMs, step.deadlineMs);
	const result =
		step.kind === 'check' ? await runCheck(step, limitMs) : await runFiles(step, limitMs, setting);
	const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
	const failures = result.failed.length + result.problems.length;
	const counts = `${result.passed} passed, ${failures} failed, ${result.skipped.length} skipped`;
	console.log(`   ${failures === 0 ? 'ok' : 'FAILED'}: ${counts}, ${seconds} s`);
	return result;
}

/** What failed and what was skipped, and the line that sums it all up. */
function conclude(results: readonly { step: Step; result: Tally }[]): boolean {
	const failures = results.flatMap(({ step, result }) =>
		[...result.failed, ...result.problems].map((failure) => `${step.name}: ${failure}`),
	);
	const skips = results.flatMap(({ result }) => result.skipped);
	const passed = results.reduce((sum, { result }) => sum + result.passed, 0);
	if (skips.length > 0) console.log('\nSkipped:');
	for (const { name, reason } of skips) console.log(`  ${name}: ${reason}`);
	if (failures.length > 0) console.log('\nFailed:');
	for (const failure of failures) console.log(`  ${failure}`);
	console.log(`\n${passed} passed, ${failures.length} failed, ${skips.length} skipped`);
	return failures.length === 0 && passed > 0;
}

async function main(args: string[]): Promise<number> {
	const plan = planOf(args);
	if ('text' in plan) {
		console.log(plan.text);
		return plan.exitCode;
	}
	const startedAt = performance.now();
	const reports = mkdtempSync(join(tmpdir(), 'chatapi-test-'));
	const results: { step: Step; result: Tally }[] = [];
	let isBuilt = true;
	try {
		for (const step of plan.steps) {
			if (step.kind === 'suite' && step.needsBuild && !isBuilt) {
				console.log(`\n== ${step.name}: not run, for there is no binary`);
				results.push({ step, result: { ...NOTHING, problems: ['not run: the build failed'] } });
				continue;
			}
			const leftMs = RUN_DEADLINE_MS - (performance.now() - startedAt);
			const result = await runStep(step, leftMs, { lanes: plan.lanes, reports });
			if (step.name === 'build') isBuilt = result.passed === 1;
			results.push({ step, result });
		}
	} finally {
		rmSync(reports, { recursive: true, force: true });
	}
	return conclude(results) ? 0 : 1;
}

process.exit(await main(Bun.argv.slice(2)));
