/** What makes failing inputs small finds what matters, and keeps nothing that does not fail. */
import { describe, expect, test } from 'bun:test';
import { type Fails, leaveOut, type Minimised, minimise, type Shrink } from './minimise.ts';
import { createRandom } from './random.ts';
import { type FrameInput, shrinkFrames, shrinkJson, shrinkRequest, shrinkText } from './shrink.ts';

const LONG = { attemptsMax: 10_000, timeMaxMs: 30_000 };

/** Minimises with what is tried written down. */
async function observed<Input>(
	input: Input,
	isFailing: (input: Input) => boolean,
	shrink: Shrink<Input>,
	limits = LONG,
): Promise<Minimised<Input> & { tried: Input[] }> {
	const tried: Input[] = [];
	const fails: Fails<Input> = async (candidate) => {
		tried.push(candidate);
		return isFailing(candidate);
	};
	return { ...(await minimise(input, fails, shrink, limits)), tried };
}

describe('minimise', () => {
	const noise = createRandom(7);
	const text = Array.from({ length: 2_000 }, () => noise.pick('abcdefgh'.split(''))).join('');

	test('finds the one character that matters, in few attempts', async () => {
		for (const at of [0, 1, 999, 1_999, 2_000]) {
			const input = `${text.slice(0, at)}\0${text.slice(at)}`;
			const { input: found, attempts } = await observed(
				input,
				(candidate) => candidate.includes('\0'),
				shrinkText,
			);
			expect(found).toBe('\0');
			expect(attempts).toBeLessThan(40);
		}
	});

	test('finds two that matter together, far from each other', async () => {
		const input = `${text.slice(0, 300)}X${text.slice(300, 1_700)}Y${text.slice(1_700)}`;
		const isFailing = (candidate: string) => /X.*Y/.test(candidate);

		const { input: found, attempts } = await observed(input, isFailing, shrinkText);

		expect(found).toBe('XY');
		expect(attempts).toBeLessThan(100);
	});

	test('returns something that was seen failing, whatever fails, and no longer than it was', async () => {
		for (let seed = 0; seed < 200; seed++) {
			const random = createRandom(seed);
			const input = text.slice(0, 1 + random.below(60));
			// Fails by chance, but the same always fails or never does.
			const isFailing = (candidate: string) =>
				candidate === input || Number(Bun.hash(candidate + seed) % 3n) === 0;

			const { input: found, isReproduced, tried } = await observed(input, isFailing, shrinkText);

			expect(isReproduced).toBe(true);
			expect(isFailing(found)).toBe(true);
			expect(tried).toContain(found);
			expect(found.length).toBeLessThanOrEqual(input.length);
			for (const at of found.split('').keys()) {
				expect(isFailing(found.slice(0, at) + found.slice(at + 1))).toBe(false);
			}
		}
	});

	test('tries no more often than it may, nothing twice, and then has the best so far', async () => {
		const isFailing = (candidate: string) => candidate.split('a').length > 100;
		const limits = { attemptsMax: 50, timeMaxMs: 30_000 };

		const { input, attempts, tried } = await observed(text, isFailing, shrinkText, limits);

		expect(attempts).toBe(50);
		expect(new Set(tried).size).toBe(50);
		expect(isFailing(input)).toBe(true);
		expect(input.length).toBeLessThan(text.length);
		const again = await observed(text, isFailing, shrinkText, limits);
		expect(again.tried).toEqual(tried);
	});

	test('stops when its time is over', async () => {
		const limits = { attemptsMax: 50, timeMaxMs: -1 };
		const { tried } = await observed(text, () => true, shrinkText, limits);
		expect(tried).toEqual([]);
	});

	test('says when it did not fail again, and keeps it as it was', async () => {
		const { input, isReproduced, tried } = await observed(text, () => false, shrinkText);
		expect({ input, isReproduced, tried }).toEqual({
			input: text,
			isReproduced: false,
			tried: [text],
		});
	});

	test('is told when trying throws', async () => {
		const broken = minimise(text, () => Promise.reject(new Error('no server')), shrinkText);
		await expect(broken).rejects.toThrow('no server');
	});

	test('leaves out everything where nothing matters', async () => {
		expect(await leaveOut([1, 2, 3], async () => true)).toEqual([]);
		expect(await leaveOut([], async () => false)).toEqual([]);
	});
});

describe('shrinking by shape', () => {
	test('leaves out members at every depth before characters', async () => {
		const body = {
			name: 'a,b}"]',
			members: ['u', 'v', 'w'],
			metadata: { a: { b: [1, 'X'] }, c: 2 },
		};
		const isFailing = (text: string) => {
			try {
				const { b } = JSON.parse(text).metadata.a;
				return Array.isArray(b) && b.includes('X');
			} catch {
				return false;
			}
		};

		const { input, tried } = await observed(JSON.stringify(body), isFailing, shrinkJson);

		expect(input).toBe('{"metadata":{"a":{"b":["X"]}}}');
		const invalid = tried.findIndex((text) => !/^[{[].*[}\]]$/s.test(text));
		expect(tried.indexOf(input)).toBeLessThan(invalid);
	});

	test('takes what is inside for the whole, and a character as a whole before its bytes', async () => {
		const bytes = Buffer.from('{"a":[{"b":"淯\\u0041é\\u0000\\n💥"}]}').toString('latin1');
		const isFailing = (text: string) => {
			try {
				const utf8 = new TextDecoder('utf-8', { fatal: true });
				return JSON.stringify(JSON.parse(utf8.decode(Buffer.from(text, 'latin1')))).includes(
					'\\u0000',
				);
			} catch {
				return false;
			}
		};
		expect((await observed(bytes, isFailing, shrinkJson)).input).toBe('"\\u0000"');
	});

	test('cuts what is no JSON all the same', async () => {
		const isFailing = (text: string) => text.includes('X');
		for (const text of ['{"a":[1,2,X', '{"a":1,"b":"\\"X}', ']X[', '{,X,}', 'X']) {
			expect((await observed(text, isFailing, shrinkJson)).input).toBe('X');
		}
	});

	test('keeps a request whole, with the right length', async () => {
		const body = '{"name":"a","topic":"é\\u0000","members":["bob"]}';
		const bytes = Buffer.from(body).toString('latin1');
		const text = [
			'POST /rooms/r1/x?limit=5 HTTP/1.1',
			'Host: localhost',
			'X-API-Key: secret',
			'Accept: */*',
			'Content-Type: application/json',
			`Content-Length: ${bytes.length}`,
			'',
			bytes,
		].join('\r\n');
		const whole =
			/^POST \/\S* HTTP\/1\.1\r\nHost: localhost\r\nContent-Length: (\d+)\r\n(?:[\w-]+: [^\r\n]*\r\n)*\r\n([\s\S]*)$/;
		const isFailing = (candidate: string) =>
			candidate.startsWith('POST /rooms') &&
			/^X-API-Key: secret\r$/m.test(candidate) &&
			candidate.includes('\\u0000');

		const { input, tried } = await observed(
			{ text, mayEnd: false },
			(request) => isFailing(request.text),
			(request, fails) => shrinkRequest(request, fails, (rest) => rest.length),
		);

		expect(input).toEqual({
			text: 'POST /rooms HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\nX-API-Key: secret\r\n\r\n\\u0000',
			mayEnd: false,
		});
		for (const candidate of tried.slice(1)) {
			const [, length, rest] = whole.exec(candidate.text) ?? [];
			expect(Number(length)).toBe(rest?.length ?? -1);
		}
	});

	test('cuts a request that is broken on purpose anywhere', async () => {
		const text = 'GET /rooms HT\0TP/1.1\r\nHost: localhost\r\n\r\n';
		const { input } = await observed(
			{ text, mayEnd: true },
			(request) => request.text.includes('\0'),
			(request, fails) => shrinkRequest(request, fails, (body) => body.length),
		);
		expect(input).toEqual({ text: '\0', mayEnd: true });
	});

	test('leaves out frames, then parts of those that matter together', async () => {
		const frames: readonly FrameInput[] = Array.from({ length: 9 }, (_, index) => ({
			text: `{"type":"ping","request_id":"a${index}","x":"${index}"}`,
			isBinary: index === 2,
		}));
		const isFailing = (some: readonly FrameInput[]) => {
			const [first, second] = ['a3', 'a7'].map((id) =>
				some.findIndex(({ text }) => text.includes(id)),
			);
			return first !== -1 && Number(first) < Number(second);
		};

		const { input } = await observed(frames, isFailing, shrinkFrames);

		expect(input).toEqual([
			{ text: 'a3', isBinary: false },
			{ text: 'a7', isBinary: false },
		]);
	});
});
