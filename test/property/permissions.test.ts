import { describe, test } from 'bun:test';
import fc from 'fast-check';
import { AppError } from '../../src/core/errors.ts';
import { expandGrants, GRANTS, PERMISSIONS } from '../../src/core/permissions.ts';

const grants = fc.array(fc.constantFrom(...GRANTS), { maxLength: 8 });

describe('permissions', () => {
	test('of a list are those of its grants, one by one, together', () => {
		fc.assert(
			fc.property(grants, (list) => {
				const together = expandGrants(list);
				const apart = new Set(list.flatMap((grant) => [...expandGrants([grant])]));
				return together.symmetricDifference(apart).size === 0;
			}),
			{ numRuns: 1000 },
		);
	});

	test('never grow by what is not known, and never shrink by more grants', () => {
		fc.assert(
			fc.property(grants, grants, (list, more) => {
				const expanded = expandGrants(list);
				return (
					[...expanded].every((permission) => PERMISSIONS.includes(permission)) &&
					expanded.isSubsetOf(expandGrants([...list, ...more]))
				);
			}),
			{ numRuns: 1000 },
		);
	});

	test('expanded and expanded again are the same', () => {
		fc.assert(
			fc.property(grants, (list) => {
				const once = expandGrants(list);
				return expandGrants([...once]).symmetricDifference(once).size === 0;
			}),
		);
	});

	test('of a text that is no grant are refused, whatever the text', () => {
		const texts = fc.oneof(
			fc.string({ unit: 'binary', maxLength: 30 }),
			fc
				.constantFrom(...GRANTS)
				.chain((grant) =>
					fc
						.tuple(fc.nat(grant.length), fc.constantFrom(' ', '\0', '*', ':', 'x', '\u200b'))
						.map(([at, character]) => grant.slice(0, at) + character + grant.slice(at)),
				),
		);
		fc.assert(
			fc.property(texts, (text) => {
				if (GRANTS.includes(text)) return true;
				try {
					expandGrants([text]);
					return false;
				} catch (error) {
					return error instanceof AppError && error.errorCode === 'VALIDATION_ERROR';
				}
			}),
			{ numRuns: 2000 },
		);
	});
});
