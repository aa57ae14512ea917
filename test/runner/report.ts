/** What a `bun test` said, read from its JUnit report. */

export interface Outcome {
	/** The names of its `describe`s and its own: `rooms > are listed`. */
	name: string;
	file: string;
	result: 'passed' | 'failed' | 'skipped';
	/** Why a test was skipped: what its name says at its end, in `[skipped: …]` or `(skipped: …)`. */
	reason?: string;
}

const TEST_CASE = /<testcase ([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g;
const ATTRIBUTE = /(\w+)="([^"]*)"/g;
const REASON = /\s*[[(]skipped: (.+)[\])]$/;

/** Every test of a report, in its order. */
export function readReport(xml: string): Outcome[] {
	return [...xml.matchAll(TEST_CASE)].map(([, head = '', body = '']) => {
		const attributes: Record<string, string | undefined> = Object.fromEntries(
			[...head.matchAll(ATTRIBUTE)].map(([, name, value]) => [name, decode(value ?? '')]),
		);
		// Bun writes the describes from the inside out. A name that holds ` > ` itself reads oddly.
		const outer = (attributes.classname ?? '').split(' > ').filter((part) => part !== '');
		const name = [...outer.reverse(), attributes.name ?? ''].join(' > ').replaceAll(/\s+/g, ' ');
		const file = attributes.file ?? '';
		if (/<(failure|error)\b/.test(body)) return { name, file, result: 'failed' };
		if (!/<skipped\b/.test(body)) return { name, file, result: 'passed' };
		const reason = REASON.exec(name)?.[1];
		return {
			name: name.replace(REASON, ''),
			file,
			result: 'skipped',
			...(reason === undefined ? {} : { reason }),
		};
	});
}

const ENTITIES: Readonly<Record<string, string>> = {
	lt: '<',
	gt: '>',
	quot: '"',
	apos: "'",
	amp: '&',
};

const decode = (text: string): string =>
	text.replaceAll(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, (entity, decimal, hex, name) => {
		if (name !== undefined) return ENTITIES[name] ?? entity;
		return String.fromCodePoint(decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal));
	});

/** What a step came to. Every problem counts as a failure, beside the tests that failed. */
export interface Tally {
	passed: number;
	failed: readonly string[];
	skipped: readonly { name: string; reason: string }[];
	problems: readonly string[];
}

export interface Run {
	/** The files that were to run. */
	files: readonly string[];
	exitCode: number;
	outcomes: readonly Outcome[];
	isCi: boolean;
	allowedSkips: readonly { name: string; why: string }[];
}

/**
 * Counts a run. What a report leaves out fails too: Bun tells of a file that throws while it loads
 * by its exit code alone.
 */
export function tally({ files, exitCode, outcomes, isCi, allowedSkips }: Run): Tally {
	const failed: string[] = [];
	const skipped: { name: string; reason: string }[] = [];
	let passed = 0;
	for (const { name, file, result, reason } of outcomes) {
		const isAllowed = !isCi || allowedSkips.some((allowed) => name.startsWith(allowed.name));
		if (result === 'passed') passed++;
		else if (result === 'failed') failed.push(`${file}: ${name}`);
		else if (reason === undefined) failed.push(`${file}: ${name} (skipped without a reason)`);
		else if (!isAllowed) failed.push(`${file}: ${name} (skipped under CI: ${reason})`);
		else skipped.push({ name: `${file}: ${name}`, reason });
	}
	const problems = files
		.filter((file) => !outcomes.some((outcome) => outcome.file === file))
		.map((file) => `${file} ran no test`);
	if (files.length === 0) problems.push('there is no test to run');
	const isExplained = failed.length + problems.length > 0;
	if (exitCode !== 0 && !isExplained)
		problems.push(`bun test ${files.join(' ')} ended with exit code ${exitCode}`);
	return { passed, failed, skipped, problems };
}
