/** What is printed of a failing input can be pasted, and is never more than was seen. */
import { describe, expect, test } from 'bun:test';
import type { Scene } from '../contract/bad-input/valid-requests.ts';
import { literalOf, withIds, withNames } from './names.ts';
import { explain, type Finding } from './report.ts';
import { shrinkText } from './shrink.ts';

const sceneOf = (suffix: string): Scene => ({
	tenant: {
		server: { masterKey: `master${suffix}` } as Scene['tenant']['server'],
		tenant_id: `tenant${suffix}`,
		api_key: `key${suffix}`,
		as: () => {
			throw new Error('Nobody asks');
		},
		socket: () => Promise.reject(new Error('Nobody asks')),
	},
	room_id: `room${suffix}`,
	user_id: 'bob',
	key_id: `id${suffix}`,
	plan_id: `plan${suffix}`,
	key: `management${suffix}`,
	spare_tenant_id: `spare${suffix}`,
});

describe('names in the place of ids', () => {
	const [here, there] = [sceneOf('Here'), sceneOf('There')];
	const text =
		'GET /rooms/roomHere?a=keyHere roomHere idHere tenantHere masterHere \u{1f400}\u{10dc00}';

	test('bring a text into another scene, and leave all else as it is', () => {
		const named = withNames(text, here);
		expect(withIds(named, here)).toBe(text);
		expect(withIds(named, there)).toBe(text.replaceAll('Here', 'There'));
		expect([...named].length).toBeLessThan([...text].length - 30);
	});

	test('are printed as a template literal that means the same', () => {
		const strange = `${text}\r\n\t\0\u001f\u007fé€\\\\u0000 \\ \` \${room_id} $ {`;
		const literal = literalOf(withNames(strange, here));
		const ids = ['master_key', 'api_key', 'tenant_id', 'room_id', 'key_id'];
		const read = new Function(...ids, `return ${literal}`);

		expect(literal).toMatch(/^[ -~]*$/);
		expect(read('masterHere', 'keyHere', 'tenantHere', 'roomHere', 'idHere')).toBe(strange);
	});
});

describe('the report', () => {
	const finding = (kind: string, input: string): Finding<string> => ({
		problem: { kind, text: `${kind} of ${input}` },
		input,
	});
	const explained = (findings: Finding<string>[], kindOf: (input: string) => string) =>
		explain(findings, {
			problems: async (input) => [{ kind: kindOf(input), text: input }],
			shrink: shrinkText,
			texts: (input) => [input],
		});

	test('has the seed, the input, and the smallest that fails in the same way', async () => {
		// Without the B it fails too, but in another way.
		const kindOf = (input: string) =>
			input.includes('A') ? (input.includes('B') ? 'one' : 'two') : 'none';
		const report = await explained([finding('one', 'xxAxxBxx')], kindOf);
		expect(report).toMatch(/^FUZZ_SEED=\d+ one \(1 found\)$/m);
		expect(report).toContain('original:  `xxAxxBxx`');
		expect(report).toMatch(/minimised: `AB`\n {2}after \d+ attempts$/);
	});

	test('takes the first of several that fails again', async () => {
		const findings = ['innocent', 'late', 'xxAxx', 'A'].map((input) => finding('one', input));
		const report = await explained(findings, (input) => (input.includes('A') ? 'one' : 'none'));
		expect(report).toContain('(4 found)');
		expect(report).toContain('original:  `xxAxx`');
		expect(report).toContain('minimised: `A`');
	});

	test('has a paragraph for each kind, and says what did not fail again', async () => {
		const findings = [finding('one', 'xA'), finding('two', 'xB'), finding('one', 'yA')];
		const report = await explained(findings, (input) => (input.includes('A') ? 'one' : 'none'));
		const [one, two, ...others] = report.split('\n\n');
		expect(one).toContain('minimised: `A`');
		expect(two).toContain('original:  `xB`');
		expect(two).toContain('not minimised: it did not fail again by itself');
		expect(others).toEqual([]);
	});
});
