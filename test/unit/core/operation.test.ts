import { describe, expect, test } from 'bun:test';
import { Type } from '@sinclair/typebox';
import { NoInput } from '../../../src/core/fields.ts';
import { defineOperation, errorsOf } from '../../../src/core/operation.ts';

const base = {
	name: 'rooms.get',
	summary: 'Get a room',
	input: NoInput,
	output: Type.Object({}),
	errors: ['NOT_FOUND'],
	example: { input: {}, output: {} },
} as const;

const ofTenant = defineOperation({ ...base, actor: 'any', permission: 'rooms:read', cost: 1 });
const ofOperator = defineOperation({ ...base, actor: 'operator' });
const ofVisitor = defineOperation({ ...base, actor: 'visitor', errors: [] });

const READS = { hasBody: false, isWrite: false };
const WRITES = { hasBody: true, isWrite: true };

describe('the errors of an operation', () => {
	test('of a tenant are its own, those of every credential, and of the permission', () => {
		expect(errorsOf(ofTenant, READS).sort()).toEqual([
			'AUTHENTICATION_ERROR',
			'AUTHORIZATION_ERROR',
			'INTERNAL_ERROR',
			'NOT_FOUND',
			'QUOTA_EXCEEDED',
			'RATE_LIMIT_EXCEEDED',
			'UNAVAILABLE',
			'VALIDATION_ERROR',
		]);
	});

	test('of the operator know no permission', () => {
		expect(errorsOf(ofOperator, READS)).not.toContain('AUTHORIZATION_ERROR');
		expect(errorsOf(ofOperator, READS)).toContain('AUTHENTICATION_ERROR');
	});

	test('of a visitor know no credential', () => {
		expect(errorsOf(ofVisitor, READS).sort()).toEqual([
			'INTERNAL_ERROR',
			'UNAVAILABLE',
			'VALIDATION_ERROR',
		]);
	});

	test('with a body include its size and its type, and without one do not', () => {
		const bodyErrors = ['PAYLOAD_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE'] as const;

		for (const code of bodyErrors) {
			expect(errorsOf(ofTenant, WRITES)).toContain(code);
			expect(errorsOf(ofTenant, READS)).not.toContain(code);
		}
	});

	test('that may write include a full disk, and of one that reads do not', () => {
		expect(errorsOf(ofTenant, WRITES)).toContain('INSUFFICIENT_STORAGE');
		expect(errorsOf(ofTenant, READS)).not.toContain('INSUFFICIENT_STORAGE');
	});

	test('never name a code twice', () => {
		const repeated = defineOperation({ ...ofTenant, errors: ['NOT_FOUND', 'VALIDATION_ERROR'] });

		const codes = errorsOf(repeated, WRITES);

		expect(new Set(codes).size).toBe(codes.length);
	});
});
