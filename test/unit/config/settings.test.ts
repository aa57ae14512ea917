import { describe, expect, test } from 'bun:test';
import { OPTIONS } from '../../../src/config/options.ts';
import {
	readSettings,
	SettingsRefused,
	weaknessOfMasterKey,
} from '../../../src/config/settings.ts';
import { thrownBy } from '../core/thrown.ts';

const KEY = '0123456789abcdef0123456789abcdef';
const noFile = (path: string): string => {
	throw new Error(`ENOENT: ${path}`);
};
const settingsOf = (env: Record<string, string>) => readSettings(env, noFile);

function mistakesOf(env: Record<string, string>, readFile = noFile): readonly string[] {
	const error = thrownBy(() => readSettings(env, readFile));
	if (error instanceof SettingsRefused) return error.mistakes;
	throw new Error('threw something else', { cause: error });
}

describe('settings', () => {
	// The contract's defaults, by hand.
	test('are the documented ones in an empty environment', () => {
		expect(settingsOf({})).toMatchObject({
			MASTER_API_KEY: '',
			LISTEN_ADDR: ':8080',
			DATA_DIR: './data',
			LOG_LEVEL: 'info',
			DEFAULT_RATE_LIMIT: 100,
			ALLOWED_ORIGINS: [],
			TRUSTED_PROXIES: [],
			AUTH_FAILURES_PER_MINUTE: 10,
			WS_MAX_CONNECTIONS_PER_USER: 10,
			WS_MAX_CONNECTIONS_PER_TENANT: 5000,
			WS_MAX_CONNECTIONS: 15_000,
			WS_FRAMES_PER_SECOND: 20,
			WS_MAX_SUBSCRIPTIONS: 200,
			LIVE_RECEIPTS_MAX: 100,
			MAX_ROOM_MEMBERS: 10_000,
			MAX_ROOMS_PER_USER: 2000,
			MAX_BODY_BYTES: 262_144,
			MAX_CONTENT_BYTES: 16_384,
			MAX_METADATA_BYTES: 8192,
			SHUTDOWN_DRAIN_TIMEOUT: 8000,
		});
	});

	test('hold every option there is, and nothing else of the environment', () => {
		const settings = settingsOf({ PATH: '/bin', HOME: '/root', __proto__: 'x' });

		expect(Object.keys(settings).sort()).toEqual(Object.keys(OPTIONS).sort());
	});

	test('take an empty variable for one that is not set', () => {
		const empty = Object.fromEntries(Object.keys(OPTIONS).map((name) => [name, '']));

		expect(settingsOf(empty)).toEqual(settingsOf({}));
	});

	test.each([
		['500ms', 500],
		['0s', 0],
		['30s', 30_000],
		['5m', 300_000],
		['1h', 3_600_000],
	])('read the duration %s as %d ms', (text, ms) => {
		expect(settingsOf({ SHUTDOWN_DRAIN_TIMEOUT: text }).SHUTDOWN_DRAIN_TIMEOUT).toBe(ms);
	});

	test.each([
		['65536', 65_536],
		['512B', 512],
		['256KiB', 262_144],
		['16MiB', 16_777_216],
	])('read the size %s as %d bytes', (text, bytes) => {
		expect(settingsOf({ MAX_BODY_BYTES: text }).MAX_BODY_BYTES).toBe(bytes);
	});

	test('read a list by its commas, without the spaces around and empty items', () => {
		const { ALLOWED_ORIGINS } = settingsOf({
			ALLOWED_ORIGINS: ' https://a.example , http://localhost:3000,, https://[::1]:8443 ',
		});

		expect(ALLOWED_ORIGINS).toEqual([
			'https://a.example',
			'http://localhost:3000',
			'https://[::1]:8443',
		]);
	});

	test.each([':8080', '127.0.0.1:0', 'localhost:80', '[::1]:8080', '[::]:65535'])(
		'take %s as an address to listen on',
		(address) => {
			expect(settingsOf({ LISTEN_ADDR: address }).LISTEN_ADDR).toBe(address);
		},
	);

	test.each([
		[
			'LISTEN_ADDR',
			['8080', ':', ':http', '::1:80', 'a b:80', ':808080', ':-1', ':80 ', ':65536', ':70000'],
		],
		['METRICS_ADDR', ['9090', ':65536']],
		['LOG_LEVEL', ['INFO', 'trace', 'warning', '__proto__']],
		[
			'DEFAULT_RATE_LIMIT',
			['-1', '1.5', '1e3', '0x10', ' 1', '١', 'NaN', '1000001', '9'.repeat(30)],
		],
		['WS_MAX_CONNECTIONS', ['many', '1,000', '+1', 'Infinity']],
		['MAX_BODY_BYTES', ['0', '256 KiB', '256KB', '256k', '-1', '1GiB', '17MiB', '1.5MiB']],
		['MAX_CONTENT_BYTES', ['0', '2MiB']],
		['WRITER_QUEUE_MAX', ['0', '-1']],
		['SHUTDOWN_DRAIN_TIMEOUT', ['8', '8 s', 's', '-8s', '1.5s', '2h', '1w', '999999999d']],
		[
			'ALLOWED_ORIGINS',
			['a.example', 'ftp://a.example', 'https://a.example/', 'https://*.a.example', 'null'],
		],
		[
			'TRUSTED_PROXIES',
			['proxy.local', '10.0.0.0/33', '10.0.0.256', '::1/129', '10.0.0.0/8/8', '10.0.0.0/'],
		],
	])('refuse what does not do for %s, by its name, and repeat nothing of it', (name, values) => {
		const taken = values.filter((value) => {
			try {
				settingsOf({ [name]: value });
				return true;
			} catch {
				return false;
			}
		});

		expect(taken).toEqual([]);
		for (const value of values) {
			const mistakes = mistakesOf({ [name]: value });
			expect(mistakes).toHaveLength(1);
			expect(mistakes[0]).toStartWith(name);
			if (value.length > 12) expect(mistakes[0]).not.toContain(value);
		}
	});

	test('tell of all mistakes at once', () => {
		const mistakes = mistakesOf({
			LISTEN_ADDR: 'nowhere',
			LOG_LEVEL: 'loud',
			MAX_BODY_BYTES: 'big',
			MASTER_API_KEY: 'short',
		});

		expect(mistakes.map((mistake) => mistake.split(' ')[0]).sort()).toEqual([
			'LISTEN_ADDR',
			'LOG_LEVEL',
			'MASTER_API_KEY',
			'MAX_BODY_BYTES',
		]);
	});
});

describe('a secret', () => {
	test('may stand in a file, whose last newline is not part of it', () => {
		const read = (path: string) => (path === '/run/secrets/key' ? `${KEY}\n` : noFile(path));

		const settings = readSettings({ MASTER_API_KEY_FILE: '/run/secrets/key' }, read);

		expect(settings.MASTER_API_KEY).toBe(KEY);
	});

	test('that stands in both places is refused', () => {
		const mistakes = mistakesOf({ MASTER_API_KEY: KEY, MASTER_API_KEY_FILE: 'f' }, () => KEY);

		expect(mistakes).toHaveLength(1);
		expect(mistakes[0]).not.toContain(KEY);
	});

	test('whose file cannot be read is refused without its path', () => {
		const mistakes = mistakesOf({ MASTER_API_KEY_FILE: '/run/secrets/key' });

		expect(mistakes).toHaveLength(1);
		expect(mistakes[0]).toStartWith('MASTER_API_KEY_FILE');
	});

	test('whose file is empty is refused: whoever names a file wants no random key', () => {
		expect(mistakesOf({ MASTER_API_KEY_FILE: 'f' }, () => '\n')).toHaveLength(1);
	});

	test('in a file is as strong as one in the environment has to be', () => {
		expect(mistakesOf({ MASTER_API_KEY_FILE: 'f' }, () => 'short')).toHaveLength(1);
	});

	test('is looked for in a file only where the option is a secret', () => {
		expect(settingsOf({ LOG_LEVEL_FILE: '/etc/passwd' }).LOG_LEVEL).toBe('info');
	});
});

describe('the master key', () => {
	test.each([KEY, `${'x1'.repeat(20)}abcdefg`, `${'A+/='.repeat(8)}0123`])('may be %s', (key) => {
		expect(weaknessOfMasterKey(key)).toBeUndefined();
	});

	test.each([
		['empty', ''],
		['short by one', KEY.slice(1)],
		['the example of the seeds', 's08XLS75G2SHN3owC2WkYtcdddHpUPBJXCG/3cKc66M='],
		['one character over and over', 'a'.repeat(64)],
		['a word over and over', 'secret!'.repeat(10)],
		['with a space', `${KEY} ${KEY}`],
		['with a newline', `${KEY}\n${KEY}`],
		['with a NUL', `${KEY}\0`],
		['beyond ASCII', `${KEY}é`],
	])('may not be %s', (_, key) => {
		const weakness = weaknessOfMasterKey(key);

		expect(weakness).toBeString();
		if (key.length > 8) expect(weakness).not.toContain(key);
	});
});
