import type { TProperties, TSchema } from '@sinclair/typebox';
import { AppError } from '../core/errors.ts';
import { requestTarget } from './request-target.ts';

const isInteger = (schema: TSchema | undefined) => schema?.type === 'integer';

/**
 * Makes what reads a URL's query as an operation's fields: integers and booleans where the schema
 * wants them, text otherwise. What is none stays text, for the schema to refuse.
 *
 * @throws (the reader) `VALIDATION_ERROR` for a parameter given twice.
 */
export function createQueryReader(properties: TProperties) {
	return function readQuery(url: string): Record<string, unknown> {
		const fields: Record<string, unknown> = {};
		const { query } = requestTarget(url);
		if (query === '') return fields;
		for (const [name, text] of new URLSearchParams(query)) {
			if (Object.hasOwn(fields, name)) {
				throw new AppError('VALIDATION_ERROR', 'Given more than once', {
					field: name.slice(0, 128),
				});
			}
			const isBoolean = properties[name]?.type === 'boolean' && /^(true|false)$/.test(text);
			const isNumber = isInteger(properties[name]) && /^-?\d{1,16}$/.test(text);
			// defineProperty would be owed to __proto__; a null-prototype object is not what schemas expect.
			Object.defineProperty(fields, name, {
				value: isNumber ? Number(text) : isBoolean ? text === 'true' : text,
				enumerable: true,
				writable: true,
				configurable: true,
			});
		}
		return fields;
	};
}
