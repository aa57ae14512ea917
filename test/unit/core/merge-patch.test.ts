import { describe, expect, test } from 'bun:test';
import { mergePatch } from '../../../src/core/merge-patch.ts';

describe('merge patch', () => {
	// RFC 7396, appendix A: target, patch, result.
	test.each([
		['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
		['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
		['{"a":"b"}', '{"a":null}', '{}'],
		['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
		['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
		['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
		['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
		['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
		['["a","b"]', '["c","d"]', '["c","d"]'],
		['{"a":"b"}', '["c"]', '["c"]'],
		['{"a":"foo"}', 'null', 'null'],
		['{"a":"foo"}', '"bar"', '"bar"'],
		['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
		['[1,2]', '{"a":"b","c":null}', '{"a":"b"}'],
		['{}', '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
	])('of %s with %s gives %s', (target, patch, result) => {
		const merged = mergePatch(JSON.parse(target), JSON.parse(patch));

		expect(JSON.stringify(merged)).toBe(result);
	});

	test('changes neither of its arguments', () => {
		const target = { a: { b: 1 }, c: [1] };
		const patch = { a: { b: null, d: { e: null, f: 2 } } };

		mergePatch(target, patch);

		expect(target).toEqual({ a: { b: 1 }, c: [1] });
		expect(patch).toEqual({ a: { b: null, d: { e: null, f: 2 } } });
	});

	test('treats __proto__ and constructor as names like any other', () => {
		const patch = JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"x":1}}}');

		const merged = mergePatch({}, patch);

		expect(JSON.stringify(merged)).toBe(JSON.stringify(patch));
		expect(Object.getPrototypeOf(merged)).toBe(Object.prototype);
		expect('polluted' in {}).toBe(false);
		expect('x' in {}).toBe(false);
	});

	test('removes a member named __proto__ and nothing else', () => {
		const target = JSON.parse('{"__proto__":1,"a":2}');

		const merged = mergePatch(target, JSON.parse('{"__proto__":null}'));

		expect(JSON.stringify(merged)).toBe('{"a":2}');
	});

	test('takes what is nested as deep as a body may be, and wide', () => {
		const deep = JSON.parse(`${'{"a":'.repeat(32)}1${'}'.repeat(32)}`);
		const wide = Object.fromEntries(Array.from({ length: 50_000 }, (_, index) => [`k${index}`, 1]));

		expect(mergePatch({}, deep)).toEqual(deep);
		expect(Object.keys(mergePatch(wide, { k0: null }) as object)).toHaveLength(49_999);
	});
});
