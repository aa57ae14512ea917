/** The faults that tests plant into the sources: each must still have its place there. */

const FAULT =
	/file: '(src\/[^']+)',\s*before:\s*('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\$]|\\.)*`),/g;

/** Faults that these tests plant, and whose text does not stand in the sources exactly once. */
export function faultViolations(
	tests: ReadonlyMap<string, string>,
	read: (path: string) => string | undefined,
): { found: number; violations: string[] } {
	const violations: string[] = [];
	let found = 0;
	for (const [path, text] of tests) {
		for (const [, file = '', literal = ''] of text.matchAll(FAULT)) {
			found++;
			const before = textOf(literal);
			const places = (read(file) ?? '').split(before).length - 1;
			if (places !== 1)
				violations.push(`${path}: ${file} has ${places} places that read: ${before}`);
		}
	}
	return { found, violations };
}

/** What a literal of a string says. */
const textOf = (literal: string): string =>
	literal
		.slice(1, -1)
		.replaceAll(/\\(.)/g, (_, escaped: string) => ({ n: '\n', t: '\t' })[escaped] ?? escaped);
