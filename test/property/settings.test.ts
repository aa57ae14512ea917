import { describe, test } from 'bun:test';
import fc from 'fast-check';
import { OPTIONS } from '../../src/config/options.ts';
import { readSettings, SettingsRefused } from '../../src/config/settings.ts';

const names = Object.keys(OPTIONS);
/** What operators write, and what they mistype. */
const texts = fc.oneof(
	fc.string({ unit: 'binary', maxLength: 30 }),
	fc.string({ unit: fc.constantFrom(...'0123456789smhdKMiB.:/,-[]* '), maxLength: 12 }),
	fc.constantFrom('__proto__', 'constructor', '0', '-1', '1e9', ':8080', '5m', '256KiB', 'info'),
);
const environments = fc.dictionary(
	fc.constantFrom(...names, ...names.map((name) => `${name}_FILE`)),
	texts,
	{ maxKeys: 6 },
);

const noFile = (): string => {
	throw new Error('ENOENT');
};

describe('settings', () => {
	test('of any environment are read or refused, with one mistake a variable at most', () => {
		fc.assert(
			fc.property(environments, (env) => {
				try {
					const settings = readSettings(env, noFile);
					return Object.keys(settings).length === names.length;
				} catch (error) {
					if (!(error instanceof SettingsRefused)) throw error;
					const blamed = error.mistakes.map((mistake) => mistake.split(' ')[0] ?? '');
					return (
						blamed.length > 0 &&
						new Set(blamed).size === blamed.length &&
						blamed.every((name) => names.includes(name.replace(/_FILE$/, '')))
					);
				}
			}),
			{ numRuns: 3000 },
		);
	});

	test('of a strong key in the wrong company never show the key', () => {
		const keys = fc.string({
			unit: fc.constantFrom(...'0123456789abcdef'),
			minLength: 64,
			maxLength: 64,
		});
		fc.assert(
			fc.property(keys, fc.constantFrom(...names), (key, name) => {
				try {
					readSettings(
						{ MASTER_API_KEY: `${key} `, [`${name}_FILE`]: key, LOG_LEVEL: key },
						() => key,
					);
					return false;
				} catch (error) {
					return error instanceof SettingsRefused && !error.message.includes(key);
				}
			}),
			{ numRuns: 500 },
		);
	});
});
