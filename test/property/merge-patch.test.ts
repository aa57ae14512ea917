import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { mergePatch } from '../../src/core/merge-patch.ts';

/** Objects with few and awkward names, so that target and patch meet. */
const names = fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor', '', '0', '\ud800');
const { value: values } = fc.letrec((tie) => ({
	value: fc.oneof(
		{ depthSize: 'small', withCrossShrink: true },
		fc.constantFrom(null, 0, 1, '', 'text', true),
		fc.array(tie('value'), { maxLength: 3 }),
		fc.array(fc.tuple(names, tie('value')), { maxLength: 4 }).map(Object.fromEntries),
	),
}));

const isObject = (value: unknown): value is Record<string, unknown> =>
	typeof value === 'object' && value !== null && !Array.isArray(value);

/** Members in the order of their names: a patch says nothing about order. */
const canonical = (value: unknown): string =>
	JSON.stringify(value, (_, inner) =>
		isObject(inner)
			? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
			: inner,
	);

const own = (value: Record<string, unknown>, name: string): unknown =>
	Object.hasOwn(value, name) ? value[name] : undefined;

describe('merge patch', () => {
	test('applied twice changes nothing the second time', () => {
		fc.assert(
			fc.property(values, values, (target, patch) => {
				const once = mergePatch(target, patch);
				return canonical(mergePatch(once, patch)) === canonical(once);
			}),
			{ numRuns: 3000 },
		);
	});

	test('leaves as it is what an empty patch is applied to', () => {
		fc.assert(
			fc.property(values, (target) => {
				const expected = isObject(target) ? target : {};
				return canonical(mergePatch(target, {})) === canonical(expected);
			}),
			{ numRuns: 1000 },
		);
	});

	test('touches just the members that the patch names', () => {
		fc.assert(
			fc.property(values.filter(isObject), values.filter(isObject), (target, patch) => {
				const merged = mergePatch(target, patch);
				if (!isObject(merged)) return false;
				for (const name of new Set([...Object.keys(target), ...Object.keys(patch)])) {
					const given = own(patch, name);
					if (given === null) {
						if (Object.hasOwn(merged, name)) return false;
					} else {
						const expected =
							given === undefined ? own(target, name) : mergePatch(own(target, name), given);
						if (canonical(own(merged, name)) !== canonical(expected)) return false;
					}
				}
				return Object.keys(merged).every(
					(n) => Object.hasOwn(target, n) || Object.hasOwn(patch, n),
				);
			}),
			{ numRuns: 3000 },
		);
	});

	test('leaves both arguments and the prototype of all objects as they were', () => {
		fc.assert(
			fc.property(values, values, (target, patch) => {
				const before = [JSON.stringify(target), JSON.stringify(patch)];
				mergePatch(target, patch);
				expect([JSON.stringify(target), JSON.stringify(patch)]).toEqual(before);
				expect(Object.keys(Object.prototype)).toEqual([]);
			}),
			{ numRuns: 1000 },
		);
	});
});
