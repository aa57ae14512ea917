// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are what is filled in.
/** `chatapi apply` and `chatapi export-config`, as somebody types them. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bodyOf, httpClient } from '../helpers/http.ts';
import { runBinary, type Server, startServer } from '../helpers/server.ts';
import { operator } from '../helpers/tenants.ts';
import type { TenantsPage } from '../helpers/wire.ts';

const EXAMPLE = join(import.meta.dir, '../../examples/tenants.yaml');

let folder: string;
let server: Server;
beforeAll(async () => {
	folder = mkdtempSync(join(tmpdir(), 'chatapi-apply-'));
	server = await startServer({ dataDir: join(folder, 'data') });
});
afterAll(async () => {
	const exitCode = await server.stop();
	rmSync(folder, { recursive: true, force: true });
	expect({ exitCode, stderr: server.stderr() }).toEqual({ exitCode: 0, stderr: '' });
});

let files = 0;
const newPath = (extension: string) => join(folder, `file-${++files}.${extension}`);

/** The path of a file with this text. */
function file(text: string | Uint8Array, extension = 'yaml'): string {
	const path = newPath(extension);
	writeFileSync(path, text);
	return path;
}

const run = (args: string[], env: Record<string, string> = {}) =>
	runBinary(args, { DATA_DIR: server.dataDir, ...env }, 60_000);

const apply = (path: string, ...args: string[]) => run(['apply', '-f', path, ...args]);

/** Everything that there is, as a document. */
async function exported(): Promise<string> {
	const { exitCode, stdout, stderr } = await run(['export-config', '--quiet']);
	expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
	return stdout;
}

const secretsOf = (text: string) =>
	text
		.split('\n')
		.filter((line) => line.startsWith('{'))
		.map((line) => JSON.parse(line) as { tenant: string; name: string; api_key: string });

test('the example is made, found to be so, and exported as what changes nothing', async () => {
	const drift = await apply(EXAMPLE, '--dry-run');
	const nothing = await exported();
	const made = await apply(EXAMPLE);
	const again = await apply(EXAMPLE);
	const same = await apply(EXAMPLE, '--dry-run');
	const out = newPath('yaml');
	const written = await run(['export-config', '-o', out]);
	const back = await apply(out, '--dry-run', '--prune');

	expect([drift.exitCode, made.exitCode, again.exitCode, same.exitCode, back.exitCode]).toEqual([
		2, 0, 0, 0, 0,
	]);
	expect(drift.stdout).toEndWith('6 to create, 0 to change, 0 to prune, 0 unchanged\n');
	expect(nothing).toBe('plans: []\ntenants: []\n');
	expect(again.stdout).toBe('0 created, 0 changed, 0 pruned, 6 unchanged\n');
	expect(back.stdout).toBe('0 to create, 0 to change, 0 to prune, 6 unchanged\n');
	expect(written).toMatchObject({ exitCode: 0, stdout: '' });
	expect(readFileSync(out, 'utf8')).toBe(await exported());
	expect(readFileSync(out, 'utf8')).not.toContain('sk_');
	expect(made.stdout).not.toContain('\u001b');
	const secrets = secretsOf(made.stdout);
	expect(secrets.map(({ tenant, name }) => `${tenant}/${name}`)).toEqual([
		'Springfield Elementary/Backend',
		'Springfield Elementary/Reports',
		'Shelbyville High/Backend',
	]);
	for (const { api_key, name } of secrets) {
		const client = httpClient(server, { key: api_key });
		expect((await client.get('/settings')).status).toBe(name === 'Backend' ? 200 : 403);
	}
});

describe('a file', () => {
	test('is filled in from the environment: in values, as text, and nowhere else', async () => {
		const path = file(
			[
				'tenants:',
				'  - name: Filled ${SUFFIX}',
				'    metadata:',
				'      a: ${A}',
				'      b: "x${A}y${A}"',
				'      c: $${A} and $$${A}',
				'      ${A}: name',
				'    keys: []',
			].join('\n'),
		);

		const answer = await run(['apply', '-f', path], { SUFFIX: 'in', A: '1: [' });
		const document = await exported();
		const back = await run(['apply', '-f', file(document), '--dry-run'], { SUFFIX: '', A: '' });

		expect(answer).toMatchObject({ exitCode: 0, stderr: '' });
		const { tenants } = bodyOf(
			await operator(server).get<TenantsPage>('/admin/tenants?q=Filled%20in'),
			200,
		);
		expect(tenants[0]?.metadata).toEqual({
			...{ a: '1: [', b: 'x1: [y1: [', c: '${A} and $${A}' },
			'${A}': 'name',
		});
		expect(back.exitCode).toBe(0);
	});

	test('may be JSON, with tabs, and may use anchors', async () => {
		const json = { tenants: [{ name: 'By JSON', keys: [] }] };
		const byJson = await apply(file(JSON.stringify(json, null, '\t'), 'json'));
		const byAnchor = await apply(
			file(
				[
					'tenants:',
					'  - &base { name: Anchored, domain: anchored.example, keys: [] }',
					'  - { <<: *base, name: Merged }',
				].join('\n'),
			),
		);

		expect([byJson.exitCode, byAnchor.exitCode]).toEqual([0, 0]);
		expect(byAnchor.stdout).toContain('+ tenant "Merged"\n    domain: "anchored.example"\n');
	});

	const bomb = ['a: &a [x, x, x, x, x, x, x, x, x]'];
	for (let level = 1; level < 9; level++) {
		const [one, other] = [String.fromCharCode(96 + level), String.fromCharCode(97 + level)];
		bomb.push(`${other}: &${other} [${Array.from({ length: 9 }, () => `*${one}`).join(', ')}]`);
	}
	const named = (lines: string[]) => ['tenants:', '  - name: Refused', ...lines].join('\n');
	for (const [claim, text, complaint] of [
		['is no YAML', 'tenants: [', /:1: /],
		['is a list', '- a', /must be an object with plans and tenants/],
		['has an unknown list', 'tenants: []\nplanz: []', /:2: unknown field: "planz"/],
		['says prune itself', 'prune: true', /:1: unknown field: "prune"/],
		[
			'repeats a field',
			named(['    domain: a.b', '    domain: c.d']),
			/:4: Map keys must be unique/,
		],
		[
			'has an unknown field',
			named(['    metadata: {}', '    planet: x']),
			/:4: \/tenants\/0\/planet: Unknown field/,
		],
		[
			'has a wrong type',
			named(['    rate_limit:', '      burst: many']),
			/:4: \/tenants\/0\/rate_limit\/burst: /,
		],
		['has a number that is none', named(['    metadata: .inf']), /:3: must be a number/],
		['has a tag', named(['    metadata: !!js/function x']), /:3: Unresolved tag/],
		[
			'names a variable that is not set',
			named(['    domain: ${NOT_SET}']),
			/:3: the environment variable NOT_SET is not set/,
		],
		['names no variable', named(['    domain: ${a-b}']), /:3: \$\{…\} must hold the name/],
		['opens a variable', named(['    metadata: "${A"']), /:3: \$\{…\} must hold the name/],
		['is a bomb of aliases', [...bomb, 'tenants: *i'].join('\n'), /unknown field: "a"/],
		[
			'has a bomb of aliases inside',
			named(['    metadata:', ...bomb.map((line) => `      ${line}`)]),
			/Excessive alias count/,
		],
		['holds itself', named(['    metadata: &m', '      again: *m']), /yaml: .*cycl/i],
		[
			'names a thing twice',
			'tenants:\n  - name: A\n  - name: A\n',
			/:3: \/tenants\/1\/name: The document has this name before/,
		],
		[
			'holds what is large many times',
			named([
				'    metadata:',
				`      a: &a ${'x'.repeat(1_000_000)}`,
				`      b: [${Array.from({ length: 40 }, () => '*a').join(', ')}]`,
			]),
			/larger than 16 MiB/,
		],
		['has two documents', 'tenants: []\n---\ntenants: []', /multiple documents/],
		['is nested too deep', `tenants: ${'['.repeat(200_000)}`, /: /],
		['is no UTF-8', new Uint8Array([0x61, 0xff]), /not valid UTF-8/],
		['is larger than 16 MiB', new Uint8Array(17 * 1024 * 1024), /larger than 16 MiB/],
	] as const) {
		test(`that ${claim} is refused by its line, and changes nothing`, async () => {
			const before = await exported();

			const answer = await apply(file(text));

			expect({ exitCode: answer.exitCode, stdout: answer.stdout }).toEqual({
				exitCode: 1,
				stdout: '',
			});
			expect(answer.stderr).toMatch(complaint);
			expect(answer.stderr.length).toBeLessThan(400);
			expect(await exported()).toBe(before);
		});
	}

	test('that is not there, and no file at all, are errors and no drift', async () => {
		for (const args of [['-f', newPath('yaml')], [], ['--no-such-option'], ['word']]) {
			const answer = await run(['apply', '--dry-run', ...args]);
			expect(answer.exitCode).toBe(1);
			expect(answer.stderr).toStartWith('chatapi: ');
		}
	});
});

describe('--prune', () => {
	test('without a terminal refuses, and lists what would go; with --yes takes it away', async () => {
		await apply(file('plans: [{ name: Pruned plan }]'));
		const path = file('plans:\n  - name: School\n');
		const before = await exported();

		const dry = await apply(path, '--prune', '--dry-run');
		const refused = await apply(path, '--prune');
		const unchanged = await exported();
		const done = await apply(path, '--prune', '--yes');
		const again = await apply(path, '--prune');

		expect([dry.exitCode, refused.exitCode, done.exitCode, again.exitCode]).toEqual([2, 1, 0, 0]);
		expect(dry.stdout).toContain('- plan "Pruned plan"\n');
		expect(refused.stderr).toContain('- plan "Pruned plan"\n');
		expect(refused.stderr).toContain('say --yes');
		expect(unchanged).toBe(before);
		expect(done.stdout).toContain('- plan "Pruned plan"\n0 created, 0 changed, 1 pruned');
		expect(await exported()).toBe(before.replace('  - name: Pruned plan\n', ''));
	});
});

describe('--secrets-out', () => {
	test('writes a file for its user alone, and prints no secret', async () => {
		const out = newPath('jsonl');

		const answer = await apply(file('tenants: [{ name: Secretive }]'), '--secrets-out', out);

		expect(answer.exitCode).toBe(0);
		expect(answer.stdout).not.toContain('sk_');
		expect(statSync(out).mode & 0o777).toBe(0o600);
		const [secret] = secretsOf(readFileSync(out, 'utf8'));
		expect(secret).toMatchObject({ tenant: 'Secretive', name: 'default' });
		const client = httpClient(server, { key: secret?.api_key ?? '' });
		expect((await client.get('/settings')).status).toBe(200);
	});

	test('never overwrites, and changes nothing then; without new keys there is no file', async () => {
		const out = file('kept', 'jsonl');
		const before = await exported();

		const refused = await apply(file('tenants: [{ name: Never }]'), '--secrets-out', out);
		const none = newPath('jsonl');
		const same = await apply(file(before), '--secrets-out', none);

		expect(refused).toMatchObject({ exitCode: 1, stdout: '' });
		expect(readFileSync(out, 'utf8')).toBe('kept');
		expect(await exported()).toBe(before);
		expect([same.exitCode, existsSync(none)]).toEqual([0, false]);
	});
});

describe('--url', () => {
	test('asks a server by its address, with the key of the environment or of a file', async () => {
		const key = file(`${server.masterKey}\n`, 'key');
		const elsewhere = { DATA_DIR: join(folder, 'nowhere') };
		const byFile = ['--url', `${server.url}/`, '--master-key-file', key];

		const one = await run(['export-config', ...byFile], elsewhere);
		const other = await run(['export-config', '--url', server.url], {
			...{ ...elsewhere, MASTER_API_KEY: server.masterKey },
		});

		expect([one.exitCode, other.exitCode]).toEqual([0, 0]);
		expect(one.stdout).toBe(await exported());
		expect(other.stdout).toBe(one.stdout);
	});

	test('without a server, a key or the right one says so', async () => {
		const elsewhere = { DATA_DIR: join(folder, 'nowhere') };
		const wrong = file('0'.repeat(40), 'key');

		const nobody = await run(['export-config'], elsewhere);
		const keyless = await run(['export-config', '--url', server.url], elsewhere);
		const refused = await run(['export-config', '--url', server.url, '--master-key-file', wrong]);
		const noUrl = await run(['export-config', '--url', 'file:///etc/passwd']);

		expect(nobody.stderr).toContain('No server uses the data directory');
		expect(keyless.stderr).toContain('MASTER_API_KEY');
		expect(refused.stderr).toContain('Unauthorized');
		expect(noUrl.stderr).toContain('http://');
		expect([nobody, keyless, refused, noUrl].map(({ exitCode }) => exitCode)).toEqual([1, 1, 1, 1]);
	});
});
