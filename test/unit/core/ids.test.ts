import { describe, expect, test } from 'bun:test';
import { createIds, encodeUuid, USER_ID } from '../../../src/core/ids.ts';

describe('ids', () => {
	// The vectors of the TypeID specification.
	test.each([
		['00000000-0000-0000-0000-000000000000', '00000000000000000000000000'],
		['00000000-0000-0000-0000-000000000001', '00000000000000000000000001'],
		['00000000-0000-0000-0000-00000000000a', '0000000000000000000000000a'],
		['00000000-0000-0000-0000-000000000010', '0000000000000000000000000g'],
		['00000000-0000-0000-0000-000000000020', '00000000000000000000000010'],
		['ffffffff-ffff-ffff-ffff-ffffffffffff', '7zzzzzzzzzzzzzzzzzzzzzzzzz'],
		['0110c853-1d09-52d8-d73e-1194e95b5f19', '0123456789abcdefghjkmnpqrs'],
		['01890a5d-ac96-774b-bcce-b302099a8057', '01h455vb4pex5vsknk084sn02q'],
	])('write %s as %s', (uuid, text) => {
		expect(encodeUuid(Buffer.from(uuid.replaceAll('-', ''), 'hex'))).toBe(text);
	});

	test('carry the prefix of their kind and 26 characters', () => {
		const ids = createIds();

		const made = [ids('tenant'), ids('room'), ids('msg'), ids('key'), ids('conn'), ids('req')];

		for (const [index, prefix] of ['tenant', 'room', 'msg', 'key', 'conn', 'req'].entries()) {
			expect(made[index]).toMatch(new RegExp(`^${prefix}_[0-7][0-9a-hjkmnp-tv-z]{25}$`));
		}
	});

	test('come from the source that is handed in', () => {
		const ids = createIds(() => new Uint8Array(16).fill(255));

		expect(ids('req')).toBe('req_7zzzzzzzzzzzzzzzzzzzzzzzzz');
	});

	test('do not repeat', () => {
		const ids = createIds();

		const made = new Set(Array.from({ length: 10_000 }, () => ids('msg')));

		expect(made.size).toBe(10_000);
	});
});

describe('user id', () => {
	test.each(['a', 'A-Z.a_z:0@9|', 'x'.repeat(128), 'room_01hf'])('may be %s', (id) => {
		expect(USER_ID.test(id)).toBe(true);
	});

	test.each([
		['nothing', ''],
		['129 characters', 'x'.repeat(129)],
		['a space', 'a b'],
		['a newline at the end', 'alice\n'],
		['a NUL', 'alice\0'],
		['a slash', 'a/b'],
		['a letter beyond ASCII', 'zoë'],
		['a lone surrogate', 'a\ud800'],
		['a direction character', 'a\u202eb'],
	])('is refused with %s', (_, id) => {
		expect(USER_ID.test(id)).toBe(false);
	});

	test('is tested without a memory of the test before', () => {
		const answers = Array.from({ length: 4 }, () => USER_ID.test('alice'));

		expect(answers).toEqual([true, true, true, true]);
	});
});
