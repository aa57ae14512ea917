import { describe, expect, test } from 'bun:test';
import { OPTIONS } from '../../../src/config/options.ts';

const options = Object.entries(OPTIONS);

describe('the table of options', () => {
	test.each(options)('says in one sentence what %s is', (_, { summary }) => {
		expect(summary).toMatch(/^[A-Z][^\n]{10,190}\.$/);
	});

	test.each(options)('gives %s a name for the environment', (name) => {
		expect(name).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
		// NAME_FILE is how a secret's file is named.
		expect(name).not.toEndWith('_FILE');
	});

	test('knows the names that the seeds use', () => {
		expect(Object.keys(OPTIONS)).toContain('MASTER_API_KEY');
		for (const name of [
			'LISTEN_ADDR',
			'DATA_DIR',
			'LOG_LEVEL',
			'DEFAULT_RATE_LIMIT',
			'ALLOWED_ORIGINS',
			'WS_MAX_CONNECTIONS_PER_USER',
			'SHUTDOWN_DRAIN_TIMEOUT',
		]) {
			expect(Object.keys(OPTIONS)).toContain(name);
		}
	});

	test('has no secret with a default', () => {
		const known = options.filter(([, option]) => option.kind === 'secret' && option.default !== '');

		expect(known).toEqual([]);
	});
});
