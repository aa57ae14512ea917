import { describe, expect, test } from 'bun:test';
import { AppError, assert, ERRORS, errorBodyOf } from '../../../src/core/errors.ts';
import { thrownBy } from './thrown.ts';

describe('errors', () => {
	// The contract's table, by hand. An error that is added there is added here.
	test('have the statuses that the contract promises', () => {
		const statuses = Object.fromEntries(
			Object.entries(ERRORS).map(([code, { status }]) => [code, status]),
		);

		expect(statuses).toEqual({
			VALIDATION_ERROR: 400,
			AUTHENTICATION_ERROR: 401,
			AUTHORIZATION_ERROR: 403,
			QUOTA_EXCEEDED: 403,
			NOT_FOUND: 404,
			METHOD_NOT_ALLOWED: 405,
			CONFLICT: 409,
			PRECONDITION_FAILED: 412,
			PAYLOAD_TOO_LARGE: 413,
			UNSUPPORTED_MEDIA_TYPE: 415,
			RATE_LIMIT_EXCEEDED: 429,
			INTERNAL_ERROR: 500,
			UNAVAILABLE: 503,
			INSUFFICIENT_STORAGE: 507,
		});
	});

	test('are retryable exactly when the same request can succeed later', () => {
		const retryable = Object.entries(ERRORS)
			.filter(([, error]) => error.retryable)
			.map(([code]) => code);

		expect(retryable).toEqual([
			'RATE_LIMIT_EXCEEDED',
			'INTERNAL_ERROR',
			'UNAVAILABLE',
			'INSUFFICIENT_STORAGE',
		]);
	});

	test('show a client the code, the sentence, the field and the wait in whole milliseconds', () => {
		const error = new AppError('RATE_LIMIT_EXCEEDED', 'Too fast', {
			field: 'name',
			retry_after_ms: 12.01,
			allow: 'GET',
		});

		expect(errorBodyOf(error, 'req_1')).toEqual({
			code: 'RATE_LIMIT_EXCEEDED',
			message: 'Too fast',
			field: 'name',
			request_id: 'req_1',
			retryable: true,
			retry_after_ms: 13,
		});
	});

	test('leave out what there is not', () => {
		const body = errorBodyOf(new AppError('NOT_FOUND', 'Room not found'), undefined);

		expect(Object.keys(body)).toEqual(['code', 'message', 'retryable']);
	});

	test.each([
		['an error', new Error('SQLITE_ERROR: no such table: secrets')],
		['a string', 'secrets'],
		['nothing', undefined],
		['null', null],
		['something dressed as ours', { errorCode: 'NOT_FOUND', message: 'secrets', details: {} }],
	])('show nothing of a defect: %s', (_, thrown) => {
		const body = errorBodyOf(thrown, 'req_1');

		expect(body).toEqual({
			code: 'INTERNAL_ERROR',
			message: 'Internal server error',
			request_id: 'req_1',
			retryable: true,
		});
	});

	test('are named in a way that survives minification, and carry no own `code`', () => {
		const error = new AppError('CONFLICT', 'It is there');

		expect(error.name).toBe('AppError');
		expect(Object.hasOwn(error, 'code')).toBe(false);
	});
});

describe('assert', () => {
	test('is silent about what holds', () => {
		expect(() => assert('something', 'something is')).not.toThrow();
	});

	test('throws a defect, not an error for clients, with the invariant in words', () => {
		const error = thrownBy(() => assert(0, 'zero is something'));

		expect(error).not.toBeInstanceOf(AppError);
		expect(error.message).toBe('Broken invariant: zero is something');
	});
});
