import { describe, expect, test } from 'bun:test';
import { createLog, type LogLevel } from '../../../src/core/log.ts';

function logInto(level: LogLevel) {
	const lines: string[] = [];
	const log = createLog(level, { write: (line) => void lines.push(line) });
	return { log, lines, entries: () => lines.map((line) => JSON.parse(line)) };
}

describe('log', () => {
	test('writes one JSON object per line, with level, time, the fields and the message', () => {
		const { log, lines, entries } = logInto('info');

		log.info({ tenant_id: 'tenant_1' }, 'Tenant created');

		expect(lines).toHaveLength(1);
		expect(lines[0]?.endsWith('\n')).toBe(true);
		expect(entries()[0]).toEqual({
			level: 'info',
			time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
			tenant_id: 'tenant_1',
			msg: 'Tenant created',
		});
	});

	test('writes from its level up and nothing below', () => {
		const { log, entries } = logInto('warn');

		log.debug({}, 'debug');
		log.info({}, 'info');
		log.warn({}, 'warn');
		log.error({}, 'error');

		expect(entries().map((entry) => entry.msg)).toEqual(['warn', 'error']);
	});

	test('writes an error under `err` with its message and stack', () => {
		const { log, entries } = logInto('info');

		log.error({ err: new Error('disk I/O error') }, 'Unexpected error');

		expect(entries()[0].err).toMatchObject({ type: 'Error', message: 'disk I/O error' });
		expect(entries()[0].err.stack).toContain('log.test.ts');
	});

	test('keeps a hostile value within its one line', () => {
		const { log, lines, entries } = logInto('info');

		log.info({ error: 'a\n{"level":"error"}\u2028\0\ud800' }, 'Invalid API key');

		expect(lines).toHaveLength(1);
		expect(lines[0]?.trimEnd()).not.toContain('\n');
		expect(entries()[0].msg).toBe('Invalid API key');
	});
});
