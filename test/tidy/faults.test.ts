import { expect, test } from 'bun:test';
import { faultViolations } from './faults.ts';

const SOURCE = "const isOpen = true;\n\tclose('now');\nconst other = true;\n";
const read = (path: string) => (path === 'src/a.ts' ? SOURCE : undefined);
const check = (text: string) => faultViolations(new Map([['test/x.ts', text]]), read);

test('a fault that fits in one place is fine, however its text is written', () => {
	const text = [
		"{ file: 'src/a.ts', before: 'isOpen = true', after: '' }",
		"{\n\tfile: 'src/a.ts',\n\tbefore:\n\t\t'isOpen = true;\\n\\tclose',\n}",
		"{ file: 'src/a.ts', before: \"close('now');\", after: '' }",
		"{ file: 'src/a.ts', before: `close('now');\n`, after: '' }",
	].join('\n');

	expect(check(text)).toEqual({ found: 4, violations: [] });
});

test.each([
	["{ file: 'src/a.ts', before: 'isShut = true', after: '' }", '0 places'],
	["{ file: 'src/a.ts', before: '= true;', after: '' }", '2 places'],
	["{ file: 'src/gone.ts', before: 'isOpen', after: '' }", '0 places'],
])('a fault that fits nowhere, or twice, is found: %s', (text, expected) => {
	const { violations } = check(text);

	expect(violations).toHaveLength(1);
	expect(violations[0]).toContain(expected);
});
