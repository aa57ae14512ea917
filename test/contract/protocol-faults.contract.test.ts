/**
 * The suite of test/contract/protocol can fail: pointed at a server with a defect it names what is
 * wrong, and pointed at the same sources without one it finds nothing.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Patch, sabotaged } from '../crash/sabotage.ts';
import { startVictim } from '../crash/victim.ts';
import { randomSecret } from '../helpers/server.ts';

const ROOT = resolve(import.meta.dir, '..', '..');

interface Fault {
	what: string;
	patch: Patch;
	/** Which part of the suite is asked, and the test that must notice. */
	file: string;
	claim: string;
}

const FAULTS: readonly Fault[] = [
	{
		what: 'leaves a gap between two seqs',
		patch: {
			file: 'src/features/messages/store.ts',
			before: 'const seq = found.last_seq + 1;',
			after: 'const seq = found.last_seq + 2;',
		},
		file: 'order',
		claim: 'one order per room',
	},
	{
		what: 'replays each event twice, so that cursors do not rise',
		patch: {
			file: 'src/features/events/service/replay.ts',
			before: 'page.push(row);',
			after: 'page.push(row, row);',
		},
		file: 'resume',
		claim: 'is sent byte for byte what another heard meanwhile',
	},
	{
		what: 'does not count frames of an unknown type',
		patch: {
			file: 'src/ws/dispatch.ts',
			before:
				'sendError(connection, error, request_id, undefined);\n\t\tconnection.countBadFrame();',
			after: 'sendError(connection, error, request_id, undefined);',
		},
		file: 'limits',
		claim: 'is of an unknown type',
	},
	{
		what: 'leaves out a field of "connected"',
		patch: { file: 'src/ws/following.ts', before: 'resumed: isResumed,', after: '' },
		file: 'from-server',
		claim: '"connected" comes as its row says',
	},
	{
		what: 'tells of the end of typing where it begins',
		patch: {
			file: 'src/features/typing/service.ts',
			before: "told(typist, 'start');",
			after: "told(typist, 'stop');",
		},
		file: 'typing',
		claim: 'is told to the members while it lasts',
	},
];

let folder = '';
beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), 'chatapi-faults-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the suite says of a server with these defects, asked for one claim. */
async function verdict(patches: readonly Patch[], { file, claim }: Fault) {
	const masterKey = randomSecret();
	const server = await startVictim({
		...sabotaged(folder, patches),
		dataDir: mkdtempSync(join(folder, 'data-')),
		masterKey,
		env: { WS_FRAMES_PER_SECOND: '20' },
	});
	const path = `./test/contract/protocol/${file}.contract.test.ts`;
	const pattern = claim.replaceAll(/[^\w ]/g, '.');
	const child = Bun.spawn([process.execPath, 'test', path, '-t', pattern], {
		cwd: ROOT,
		env: {
			PATH: process.env.PATH ?? '',
			CHATAPI_URL: server.url,
			CHATAPI_MASTER_KEY: masterKey,
		},
		stdout: 'pipe',
		stderr: 'pipe',
	});
	const [exitCode, stderr] = await Promise.all([child.exited, new Response(child.stderr).text()]);
	await server.kill();
	const failed = stderr.split('\n').filter((line) => line.startsWith('(fail)'));
	return { exitCode, failed, stderr };
}

describe('the protocol suite', () => {
	for (const fault of FAULTS) {
		test(`notices a server that ${fault.what}`, async () => {
			const { exitCode, failed, stderr } = await verdict([fault.patch], fault);

			expect({ exitCode, stderr: exitCode === 1 ? '' : stderr }).toEqual({
				exitCode: 1,
				stderr: '',
			});
			expect(failed.join('\n')).toContain(fault.claim);
		}, 60_000);
	}

	test('finds nothing wrong with the same sources as they are', async () => {
		for (const fault of FAULTS) {
			const { exitCode, failed, stderr } = await verdict([], fault);

			expect({ failed, stderr: exitCode === 0 ? '' : stderr }).toEqual({ failed: [], stderr: '' });
			expect(stderr).toMatch(/[1-9]\d* pass/);
		}
	}, 120_000);
});
