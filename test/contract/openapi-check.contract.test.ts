/** The check that every other contract test leans on must itself be able to fail. */
import { expect, test } from 'bun:test';
import { mismatchOf } from '../helpers/json-schema.ts';
import { openApiOf } from '../helpers/openapi.ts';
import { useServer } from '../helpers/use-server.ts';

const used = useServer();

test('an answer is refused once a declared field is gone, of another type, or the status is not declared', async () => {
	const openApi = await openApiOf(used.server.url);
	let checked = 0;
	for (const { method, path, operation } of openApi.operations) {
		for (const [status, { content }] of Object.entries(operation.responses)) {
			const { example, schema } = (content?.['application/json'] ?? {}) as {
				example?: Record<string, unknown>;
				schema?: { required?: string[] };
			};
			// 101 has none; a schema of several forms has no one list of what it requires.
			if (example === undefined || schema === undefined) continue;
			const exchange = { method, path, status: Number(status) };

			expect(() => openApi.check({ ...exchange, body: example })).not.toThrow();
			expect(() => openApi.check({ ...exchange, status: 418, body: example })).toThrow('418');
			expect(() => openApi.check({ ...exchange, body: [example] })).toThrow('not as declared');
			for (const name of schema.required ?? []) {
				const { [name]: _, ...rest } = example;
				expect(() => openApi.check({ ...exchange, body: rest })).toThrow(`lacks ${name}`);
			}
			checked++;
		}
	}
	expect(checked).toBeGreaterThan(15);
});

test('an answer from a path outside the document is refused unless it is a 404 or 405', async () => {
	const openApi = await openApiOf(used.server.url);
	const exchange = { method: 'GET', path: '/undocumented', body: {} };

	expect(() => openApi.check({ ...exchange, status: 200 })).toThrow('no operation');
	expect(() => openApi.check({ ...exchange, status: 404 })).not.toThrow();
	expect(openApi.find('POST', '/v1/rooms/room_x/messages?x=1')?.operation.operationId).toBe(
		'messages.send',
	);
	expect(openApi.find('GET', '/v1/tenants/tenant_x')?.operation.operationId).toBe('tenants.get');
});

for (const [schema, good, bad] of [
	[{ type: 'string', pattern: '^a+$', maxLength: 3 }, ['a', 'aaa'], ['', 'aaaa', 'b', 1, null]],
	[{ type: 'string', nullable: true }, ['', null], [1, undefined]],
	[{ type: 'integer', minimum: 1, maximum: 3 }, [1, 3], [0, 4, 1.5, '1']],
	[{ type: 'boolean', enum: [true] }, [true], [false, 1]],
	[{ type: 'array', items: { type: 'string' }, minItems: 1 }, [['a']], [[], [1], {}]],
	[{ anyOf: [{ type: 'string' }, { type: 'integer' }] }, ['a', 1], [1.5, null, true]],
	[
		{ type: 'object', additionalProperties: false, properties: { a: {} } },
		[{}, { a: 1 }],
		[{ b: 1 }],
	],
	[{ type: 'object', required: ['a'] }, [{ a: null }], [{}, [], 'a']],
] as const) {
	test(`the validator judges ${JSON.stringify(schema)}`, () => {
		for (const value of good) expect(mismatchOf(value, schema, {})).toBeUndefined();
		for (const value of bad) expect(mismatchOf(value, schema, {})).toBeString();
	});
}

test('the validator refuses a keyword that it does not know', () => {
	expect(() => mismatchOf({}, { propertyNames: {} }, {})).toThrow('unknown "propertyNames"');
});
