import { expect, test } from 'bun:test';
import { AppError } from '../../../src/core/errors.ts';
import { createRefusalPace } from '../../../src/http/refusal-pace.ts';
import { within } from '../../helpers/wait.ts';

const refusal = () => new AppError('RATE_LIMIT_EXCEEDED', 'Empty', { retry_after_ms: 900 });

const AT_ONCE = 10;

test('a refusal is answered at once, until the same one was refused often in a window', () => {
	const paced = createRefusalPace({ monotonic: () => 0 });
	const ofOne = Array.from({ length: AT_ONCE + 2 }, () => paced(refusal(), () => 'one'));

	expect(ofOne.slice(0, AT_ONCE).every((wait) => wait === undefined)).toBe(true);
	expect(ofOne.slice(AT_ONCE).every((wait) => wait instanceof Promise)).toBe(true);
	expect(paced(refusal(), () => 'other')).toBeUndefined();
});

test('what is held back is answered when the window ends, with what is left of the wait by then', async () => {
	let now = 0;
	const paced = createRefusalPace({ monotonic: () => now });
	const error = refusal();
	for (let n = 0; n < AT_ONCE; n++) paced(error, () => 'one');
	const held = Array.from({ length: 100 }, () => paced(error, () => 'one'));
	now = 250;

	const answered = await within(Promise.all(held), 'the end of the window');

	expect(answered).toHaveLength(100);
	for (const each of answered as AppError[]) {
		expect(each).toMatchObject({ errorCode: 'RATE_LIMIT_EXCEEDED', message: 'Empty' });
		expect(each.details).toEqual({ retry_after_ms: 650 });
	}
	// A new window: nothing is remembered.
	expect(paced(error, () => 'one')).toBeUndefined();
});

test('a wait that is over by then is told as the shortest there is', async () => {
	let now = 0;
	const paced = createRefusalPace({ monotonic: () => now });
	for (let n = 0; n < AT_ONCE; n++) paced(refusal(), () => 'one');
	const held = paced(refusal(), () => 'one');
	now = 5000;

	expect((await within(held ?? Promise.reject(), 'it')) as AppError).toMatchObject({
		details: { retry_after_ms: 1 },
	});
});

test('nothing else is held back, and nobody is asked for', () => {
	const paced = createRefusalPace({ monotonic: () => 0 });
	const unasked = (): string => {
		throw new Error('asked');
	};

	for (let n = 0; n < 3 * AT_ONCE; n++) {
		expect(paced(new AppError('NOT_FOUND', 'No'), unasked)).toBeUndefined();
		expect(paced(new Error('a defect'), unasked)).toBeUndefined();
	}
});
