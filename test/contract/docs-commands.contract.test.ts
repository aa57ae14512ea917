/** The commands of the pages, run as a reader runs them: block by block, answers put where it says. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Server, startServer } from '../helpers/server.ts';
import { within } from '../helpers/wait.ts';
import type { Frame, Message, MessagesPage, Room, Tenant } from '../helpers/wire.ts';

const ROOT = resolve(import.meta.dir, '..', '..');
/** What a reader replaces, by the field of the answers that it stands for. */
const PLACEHOLDERS = {
	...{ api_key: 'sk_…', room_id: 'room_…', plan_id: 'plan_…', tenant_id: 'tenant_…' },
	...{ key_id: 'key_…', key: '"mk_…', secret: '"…' },
};

const needed = ['bash', 'curl', 'npx'].filter((program) => Bun.which(program) === null);
const reason = needed.length === 0 ? '' : ` (skipped: no ${needed.join(', ')} on this machine)`;
const testIfShell = test.skipIf(needed.length > 0);

let folder: string;
let server: Server;
beforeEach(async () => {
	folder = mkdtempSync(join(tmpdir(), 'chatapi-docs-'));
	symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
	// Answers of several commands in one block, a line each.
	writeFileSync(join(folder, '.curlrc'), 'write-out = "\\n"\n');
	// As `npm start` leaves it: the key in data/master.key.
	const dataDir = join(folder, 'data');
	server = await startServer({ dataDir, env: { MASTER_API_KEY: undefined } });
	expect(existsSync(join(dataDir, 'master.key'))).toBe(true);
});
afterEach(async () => {
	expect(await server.stop()).toBe(0);
	rmSync(folder, { recursive: true, force: true });
});

/** The shell blocks of a page, or of one section of it, in order. */
function blocksOf(path: string, heading?: string): string[] {
	const page = readFileSync(join(ROOT, path), 'utf8');
	const start = heading === undefined ? 0 : page.indexOf(`\n## ${heading}\n`);
	expect(start).not.toBe(-1);
	const end = heading === undefined ? -1 : page.indexOf('\n## ', start + 1);
	const part = page.slice(start, end === -1 ? undefined : end);
	return [...part.matchAll(/```bash\n([\s\S]*?)```/g)].map(([, block = '']) => block);
}

testIfShell(
	`the quick start works as it stands in the README${reason}`,
	async () => {
		const outputs = await newReader().read(blocksOf('README.md', 'Quick start'));

		const [tenant, room, sent, page, frames, ...rest] = outputs as unknown as [
			[Tenant],
			[Room],
			[Message],
			[MessagesPage],
			Frame[],
		];
		expect(rest).toEqual([]);
		expect(tenant[0].name).toBe('MyCompany');
		expect(room[0]).toMatchObject({ type: 'group', name: 'Lunch', member_count: 2 });
		expect(sent[0]).toMatchObject({ seq: 1, sender_id: 'alice', content: 'Hello Bob' });
		expect(page[0].messages).toEqual([sent[0]]);
		expect(frames.map(({ type }) => type)).toEqual(['connected', 'message', 'reply']);
		expect(frames[1]).toMatchObject({ seq: 2, sender_id: 'bob', content: 'Hello Alice' });
		expect(frames[2]?.data).toMatchObject({ seq: 2, content: 'Hello Alice' });
	},
	60_000,
);

testIfShell(
	`every command on managing tenants, quotas and usage works as it stands there${reason}`,
	async () => {
		const reader = newReader();

		const managed = await reader.read(blocksOf('docs/management.md'));
		const limited = await reader.read(blocksOf('docs/quotas.md'));
		// The key that the tenant was made with: the other one was revoked.
		const made = managed.flat().find((answer) => 'api_key' in Object(answer)) as Tenant;
		await reader.read([`export CHATAPI_KEY="${made.api_key}"\n`]);
		const used = await reader.read(blocksOf('docs/usage.md'));

		const answers = [...managed, ...limited, ...used].flat();
		expect(answers.length).toBeGreaterThan(20);
		expect(answers.filter((answer) => 'error' in Object(answer))).toEqual([]);
		expect(managed.flat()).toContainEqual(expect.objectContaining({ status: 'suspended' }));
		expect(managed.flat()).toContainEqual(expect.objectContaining({ status: 'deleting' }));
		expect(limited.flat()).toContainEqual(
			expect.objectContaining({ name: 'Hill Street School', status: 'active' }),
		);
		expect(used.flat().filter((line) => typeof line === 'string')[0]).toStartWith('day,');
	},
	60_000,
);

/** Somebody who goes through pages, and keeps what was exported and answered. */
function newReader() {
	const known = new Map<string, string>();
	const exports: string[] = [];
	return {
		/** Runs each block; returns what each printed but those that only export. */
		async read(blocks: readonly string[]): Promise<unknown[][]> {
			const outputs: unknown[][] = [];
			for (const block of blocks) {
				let command = block.replaceAll('localhost:8080', new URL(server.url).host);
				for (const [field, placeholder] of Object.entries(PLACEHOLDERS)) {
					const value = known.get(field);
					if (value === undefined) continue;
					command = command.replaceAll(placeholder, (placeholder[0] === '"' ? '"' : '') + value);
				}
				expect(command).not.toContain('…');
				if (/^(export [A-Z_]+="[^\n]+"\n)+$/.test(command)) {
					exports.push(command);
					continue;
				}
				const printed = await runShell([...exports, command].join(''), folder);
				outputs.push(printed);
				for (const [field, value] of Object.entries(printed[0] ?? {})) {
					known.set(field, String(value));
				}
			}
			return outputs;
		},
	};
}

/** The lines that a script prints: parsed where they are JSON. */
async function runShell(script: string, cwd: string): Promise<unknown[]> {
	const child = Bun.spawn(['bash', '-euo', 'pipefail', '-c', script], {
		cwd,
		env: { PATH: process.env.PATH ?? '', HOME: cwd, CURL_HOME: cwd, npm_config_offline: 'true' },
		stdin: 'ignore',
		stdout: 'pipe',
		stderr: 'pipe',
	});
	const ended = Promise.all([
		child.exited,
		new Response(child.stdout).text(),
		new Response(child.stderr).text(),
	]);
	const [exitCode, stdout, stderr] = await within(ended, 'a block of a page', 20_000).finally(() =>
		child.kill(),
	);
	if (exitCode !== 0) throw new Error(`${script}\nended with ${exitCode}: ${stdout}${stderr}`);
	return stdout
		.split('\n')
		.filter((line) => line !== '')
		.map((line) => (/^[[{]/.test(line) ? JSON.parse(line) : line));
}
