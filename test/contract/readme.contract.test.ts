/** The quick start of the README, run as a reader runs it: block by block, answers put where it says. */
import { expect, test } from 'bun:test';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Server, startServer } from '../helpers/server.ts';
import { within } from '../helpers/wait.ts';
import type { Frame, Message, MessagesPage, Room, Tenant } from '../helpers/wire.ts';

const ROOT = resolve(import.meta.dir, '..', '..');
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
/** What a reader replaces, by the field of the answers that it stands for. */
const PLACEHOLDERS = { api_key: 'sk_…', room_id: 'room_…' };

const needed = ['bash', 'curl', 'npx'].filter((program) => Bun.which(program) === null);
const reason = needed.length === 0 ? '' : ` (skipped: no ${needed.join(', ')} on this machine)`;

/** The shell blocks of a section, in order. */
function blocksOf(heading: string): string[] {
	const start = README.indexOf(`\n## ${heading}\n`);
	expect(start).toBeGreaterThan(0);
	const end = README.indexOf('\n## ', start + 1);
	const blocks = README.slice(start, end).matchAll(/```bash\n([\s\S]*?)```/g);
	return [...blocks].map(([, block = '']) => block);
}

test.skipIf(needed.length > 0)(
	`the quick start works as it stands in the README${reason}`,
	async () => {
		const folder = mkdtempSync(join(tmpdir(), 'chatapi-readme-'));
		symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
		// As `npm start` leaves it: the key in data/master.key.
		const dataDir = join(folder, 'data');
		const server = await startServer({ dataDir, env: { MASTER_API_KEY: undefined } });
		try {
			expect(existsSync(join(dataDir, 'master.key'))).toBe(true);

			const outputs = await runBlocks(blocksOf('Quick start'), folder, server);

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
		} finally {
			expect(await server.stop()).toBe(0);
			rmSync(folder, { recursive: true, force: true });
		}
	},
	60_000,
);

/** Runs each block in a shell that knows what earlier ones exported; returns what they printed. */
async function runBlocks(blocks: readonly string[], cwd: string, server: Server) {
	const known = new Map<string, string>();
	const exports: string[] = [];
	const outputs: unknown[][] = [];
	for (const block of blocks) {
		let command = block.replaceAll('localhost:8080', new URL(server.url).host);
		for (const [field, placeholder] of Object.entries(PLACEHOLDERS)) {
			command = command.replaceAll(placeholder, known.get(field) ?? placeholder);
		}
		expect(command).not.toContain('…');
		if (/^export [A-Z_]+="[^"]+"\n$/.test(command)) {
			exports.push(command);
			continue;
		}
		const printed = await runShell([...exports, command].join(''), cwd);
		outputs.push(printed);
		for (const [field, value] of Object.entries(printed[0] ?? {})) known.set(field, String(value));
	}
	return outputs;
}

/** The lines that a script prints, each of which must be JSON. */
async function runShell(script: string, cwd: string): Promise<object[]> {
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
	const [exitCode, stdout, stderr] = await within(ended, 'a block of the README', 20_000).finally(
		() => child.kill(),
	);
	if (exitCode !== 0) throw new Error(`${script}\nended with ${exitCode}: ${stdout}${stderr}`);
	return stdout
		.split('\n')
		.filter((line) => line !== '')
		.map((line) => JSON.parse(line));
}
