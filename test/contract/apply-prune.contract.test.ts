/** `chatapi apply --prune` asks before it takes anything away: as somebody at a terminal is asked. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { httpClient } from '../helpers/http.ts';
import { runBinary, type Server, startServer } from '../helpers/server.ts';
import { createPlan } from '../helpers/tenants.ts';
import { atTerminal, CTRL_C, CTRL_D, ENTER, type TerminalRun } from '../helpers/terminal.ts';

const prunedLines = () => [
	`- key "Gone" of "${names.stays}"`,
	`- tenant "${names.goes}"`,
	`- plan "${names.goes}"`,
];
const QUESTION = 'Take these 3 away? Type yes: ';

let folder: string;
let server: Server;
/** Of the key and of the tenant that are to go. */
let secrets: string[];
let names: { stays: string; goes: string };
let [wanted, secretsOut, before] = ['', '', ''];

beforeAll(async () => {
	folder = mkdtempSync(join(tmpdir(), 'chatapi-prune-'));
	server = await startServer({ dataDir: join(folder, 'data') });
});
afterAll(async () => {
	const exitCode = await server.stop();
	rmSync(folder, { recursive: true, force: true });
	expect({ exitCode, stderr: server.stderr() }).toEqual({ exitCode: 0, stderr: '' });
});

const run = (...args: string[]) => runBinary(args, { DATA_DIR: server.dataDir }, 60_000);

/** Everything that there is, as a document. */
async function everything(): Promise<string> {
	const { exitCode, stdout } = await run('export-config', '--quiet');
	expect(exitCode).toBe(0);
	return stdout;
}

let files = 0;
function file(text: string): string {
	const path = join(folder, `file-${++files}`);
	writeFileSync(path, text);
	return path;
}

/** Names of its own for each test: one that was taken away is kept for a while. */
beforeEach(async () => {
	const number = ++files;
	names = { stays: `Stays ${number}`, goes: `Goes ${number}` };
	const key = (name: string) => `{ name: ${name}, permissions: [full_access] }`;
	const stays = (rest: string) => `plans: [{ name: New }, { name: Meanwhile }]
tenants:
  - { name: ${names.stays}, keys: [${key('Kept')}${rest} }
`;
	const gone = `, ${key('Gone')}]`;
	const made = await run(
		...['apply', '--yes', '--prune', '-f'],
		file(`${stays(gone)}  - { name: ${names.goes}, keys: [${key('Gone')}] }\n`),
	);
	await createPlan(server, { name: names.goes });
	expect(made).toMatchObject({ exitCode: 0, stderr: '' });
	secrets = [...made.stdout.matchAll(/"name":"Gone".*?"(sk_\w+)"/g)].map(
		([, secret = '']) => secret,
	);
	expect(secrets).toHaveLength(2);
	wanted = file(stays('], domain: new.example'));
	secretsOut = join(folder, `secrets-${number}`);
	before = await everything();
});

/** What is typed to ask for it all. */
const command = (...rest: string[]) =>
	['$CHATAPI apply --prune', '-f', wanted, '--secrets-out', secretsOut, ...rest].join(' ');

const atPrune = <T>(line: string, use: (run: TerminalRun) => Promise<T>, env = {}) =>
	atTerminal(line, { DATA_DIR: server.dataDir, ...env }, use);

async function expectNothingChanged(): Promise<void> {
	expect(await everything()).toBe(before);
	for (const key of secrets) {
		expect((await httpClient(server, { key }).get('/settings')).status).toBe(200);
	}
	expect(existsSync(secretsOut)).toBe(false);
}

describe('at a terminal', () => {
	for (const [claim, keys, end] of [
		['no', `no${ENTER}`, { exitCode: 1, signal: null }],
		['nothing', ENTER, { exitCode: 1, signal: null }],
		['y', `y${ENTER}`, { exitCode: 1, signal: null }],
		['YES', `YES${ENTER}`, { exitCode: 1, signal: null }],
		['yes and more', `yes, but${ENTER}`, { exitCode: 1, signal: null }],
		['yes on the second line', `${ENTER}yes${ENTER}`, { exitCode: 1, signal: null }],
		['the end of the input', CTRL_D, { exitCode: 1, signal: null }],
		['Ctrl-C', CTRL_C, { exitCode: null, signal: 'SIGINT' }],
		['Ctrl-C behind yes', `yes${CTRL_C}`, { exitCode: null, signal: 'SIGINT' }],
	] as const) {
		test(`changes nothing at all when it is answered ${claim}`, async () => {
			const { ended, shown } = await atPrune(command(), async (run) => {
				await run.sees(QUESTION);
				run.type(keys);
				return { ended: await run.ended(), shown: run.shown() };
			});

			expect(ended).toEqual(end);
			for (const line of prunedLines()) expect(shown).toContain(line);
			if (end.signal === null) expect(shown).toContain('chatapi: Nothing was changed');
			await expectNothingChanged();
		});
	}

	test('changes nothing when the window is closed while it waits', async () => {
		const { signal } = await atPrune(command(), async (run) => {
			await run.sees(QUESTION);
			await expectNothingChanged();
			run.type('yes');
			run.hangUp();
			return run.ended();
		});

		expect(signal).toBe('SIGHUP');
		await expectNothingChanged();
	});

	test('asks where it is seen when stdout is a file, and not at all where the list is not', async () => {
		const out = join(folder, 'out');
		const answered = await atPrune(command('>', out), async (run) => {
			await run.sees(QUESTION);
			run.type(`no${ENTER}`);
			return { ...(await run.ended()), shown: run.shown() };
		});
		const unseen = await atPrune(command('2>', out), (run) => run.ended());
		const deaf = await atPrune(command('<', '/dev/null'), async (run) => ({
			...(await run.ended()),
			shown: run.shown(),
		}));

		expect(answered.exitCode).toBe(1);
		for (const line of prunedLines()) expect(answered.shown).toContain(line);
		expect([unseen.exitCode, deaf.exitCode]).toEqual([1, 1]);
		expect(deaf.shown).toContain('say --yes');
		expect(deaf.shown).not.toContain('Type yes');
		// Both wrote to the same file: no question, no colour.
		const written = readFileSync(out, 'utf8');
		for (const line of prunedLines()) expect(written).toContain(`${line}\n`);
		expect(written).toEndWith('say --yes\n');
		expect(written).not.toContain('\u001b');
		await expectNothingChanged();
	});

	test('has no colour where NO_COLOR says so', async () => {
		const shown = await atPrune(
			command(),
			async (run) => {
				await run.sees(QUESTION);
				run.type(`no${ENTER}`);
				await run.ended();
				return run.shown();
			},
			{ NO_COLOR: '1' },
		);

		expect(shown).not.toContain('\u001b[3');
	});

	test('takes away what it showed when it is answered yes, and nothing that came meanwhile', async () => {
		const shown = await atPrune(command(), async (run) => {
			await run.sees(QUESTION);
			await createPlan(server, { name: 'Meanwhile too' });
			run.type(` yes ${ENTER}`);
			expect(await run.ended()).toEqual({ exitCode: 0, signal: null });
			return run.shown();
		});
		const { stdout: left } = await run('export-config', '--quiet');

		expect(shown).toContain('0 created, 1 changed, 3 pruned');
		expect(left).toContain('name: Meanwhile too\n');
		expect(left).toContain('domain: new.example');
		expect(left).not.toMatch(/name: (Goes|Gone)/);
		for (const key of secrets) {
			expect((await httpClient(server, { key }).get('/settings')).status).not.toBe(200);
		}
	});

	test('does not ask where --yes is said, or nothing is to go', async () => {
		const pruned = await atPrune(command('--yes'), async (run) => {
			expect((await run.ended()).exitCode).toBe(0);
			return run.shown();
		});
		const nothing = await atPrune(command(), async (run) => {
			expect((await run.ended()).exitCode).toBe(0);
			return run.shown();
		});

		expect(pruned).toContain('3 pruned');
		expect(nothing).toContain('0 pruned');
		for (const shown of [pruned, nothing]) expect(shown).not.toContain('Type yes');
	});
});
