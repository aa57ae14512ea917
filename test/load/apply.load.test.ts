/**
 * A document of very many tenants is applied by the command, while another tenant sends and reads: everything is made, once,
 * every new key is told, once, others are answered all along, and the memory does not grow with what passes through. A server that makes it
 * all in one change must fail the same check.
 *
 * `TENANTS=10000` is the full form.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { APPLIES_IN_ONE_CHANGE, sabotaged } from '../crash/sabotage.ts';
import { report } from '../crash/victim.ts';
import { bodyOf, httpClient } from '../helpers/http.ts';
import { runBinary, type Server, type ServerOptions, startServer } from '../helpers/server.ts';
import { createGroup, createTenant, operator, type TestTenant } from '../helpers/tenants.ts';
import { eventually } from '../helpers/wait.ts';
import type { AuditPage, TenantsPage } from '../helpers/wire.ts';

const TENANTS = Number(process.env.TENANTS ?? 2000);
const CONTROL_TENANTS = 400;
/** Of the longest time that somebody else waited, in what the whole took. */
const LONGEST_WAIT_SHARE = 0.25;
/** Twice what was measured with 10,000. */
const GROWTH_MIB_MAX = 96 + TENANTS / 128;
const COMMAND_DEADLINE_MS = 60_000 + TENANTS * 20;
/** There is one each 2 s, as far as it is looked at each half a second. */
const SECONDS_OF_A_LINE = 4;

let folder: string;
beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), 'chatapi-apply-'));
});
afterAll(async () => {
	for (const server of servers) await server.kill();
	rmSync(folder, { recursive: true, force: true });
});

const servers: Server[] = [];
async function start({ env, ...options }: ServerOptions = {}): Promise<Server> {
	const dataDir = mkdtempSync(join(folder, 'data-'));
	const server = await startServer({
		dataDir,
		env: { DEFAULT_RATE_LIMIT: '0', ...env },
		...options,
	});
	servers.push(server);
	return server;
}

const lastLine = ({ stdout }: { stdout: string }) => stdout.trimEnd().split('\n').at(-1);

const namesOf = (tenants: number) => Array.from({ length: tenants }, (_, index) => nameOf(index));
const nameOf = (index: number) => `Tenant ${String(index).padStart(6, '0')}`;

/** Each on one plan, with a domain, metadata and one key. */
function documentOf(tenants: number): string {
	const lines = [
		'plans:',
		'  - name: Many',
		'    quotas: { messages_per_month: 1000000 }',
		'tenants:',
	];
	for (let index = 0; index < tenants; index++) {
		lines.push(
			`  - name: ${nameOf(index)}`,
			`    plan: Many`,
			`    domain: t${index}.example`,
			`    metadata: { number: ${index} }`,
			`    keys: [{ name: Backend, permissions: [full_access] }]`,
		);
	}
	const path = join(folder, `${tenants}.yaml`);
	writeFileSync(path, `${lines.join('\n')}\n`);
	return path;
}

const apply = async (server: Server, ...args: string[]) => {
	const startedAt = performance.now();
	const env = { DATA_DIR: server.dataDir };
	const result = await runBinary(['apply', '-f', ...args], env, COMMAND_DEADLINE_MS);
	return { ...result, seconds: (performance.now() - startedAt) / 1000 };
};

/** A tenant that sends and reads, one after the other, and notes how long it ever waited. */
function busyTenant(tenant: TestTenant, room_id: string) {
	let isOver = false;
	const seen = { answers: 0, longestMs: 0 };
	const client = tenant.as('ann');
	const ask = async (method: string, path: string, body?: unknown) => {
		const askedAt = performance.now();
		const answer = await client.call(method, path, { body, isChecked: false });
		bodyOf(answer, 200, 201);
		seen.answers++;
		seen.longestMs = Math.max(seen.longestMs, performance.now() - askedAt);
	};
	const working = (async () => {
		while (!isOver) {
			await ask('POST', `/rooms/${room_id}/messages`, { content: 'meanwhile' });
			await ask('GET', '/rooms');
		}
	})();
	return async () => {
		isOver = true;
		await working;
		return seen;
	};
}

/** Applies beside a tenant that is at work. */
async function applyBeside(server: Server, ...args: string[]) {
	const other = await createTenant(server, { name: 'Other' });
	const { room_id } = await createGroup(other, 'ann');
	const stop = busyTenant(other, room_id);
	const applied = await apply(server, ...args);
	const { answers, longestMs } = await stop();
	return { ...applied, answers, longestSeconds: longestMs / 1000 };
}

/** From the first tenant of the document to the last, by the server's own clock. */
async function secondsOfMaking(server: Server): Promise<number> {
	const times = (await allTenants(server))
		.filter(({ name }) => name !== 'Other')
		.map(({ created_at }) => Date.parse(created_at));
	return (Math.max(...times) - Math.min(...times)) / 1000;
}

/** The most memory that the process ever had, in MiB. */
const peakMibOf = ({ pid }: Server): number => {
	const status = readFileSync(`/proc/${pid}/status`, 'utf8');
	return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
};

const progressOf = async (server: Server): Promise<number> => {
	const { state, done } = bodyOf(
		await operator(server).get<{ state: string; done: number }>('/admin/apply'),
		200,
	);
	return state === 'changing' ? done : 0;
};

async function allTenants(server: Server) {
	const all: TenantsPage['tenants'] = [];
	for (let cursor: string | null = ''; cursor !== null; ) {
		const path = `/admin/tenants?limit=100${cursor && `&cursor=${cursor}`}`;
		const page: TenantsPage = bodyOf(await operator(server).get<TenantsPage>(path), 200);
		all.push(...page.tenants);
		cursor = page.next_cursor;
	}
	return all;
}

const secretsOf = (path: string) =>
	readFileSync(path, 'utf8')
		.trimEnd()
		.split('\n')
		.map((line) => JSON.parse(line) as { tenant: string; tenant_id: string; api_key: string });

/** Lines of progress: they say nothing but how far it is, and that never falls. */
function expectProgress(stderr: string): number {
	const lines = stderr.split('\n').slice(0, -1);
	const done = { comparing: 0, changing: 0 };
	for (const line of lines) {
		const [, state, at, of] = /^(comparing|changing): (\d+) of (\d+)$/.exec(line) ?? [];
		expect({ line, isProgress: state !== undefined }).toEqual({ line, isProgress: true });
		const stage = state as keyof typeof done;
		expect(Number(at)).toBeGreaterThanOrEqual(done[stage]);
		expect(Number(at)).toBeLessThanOrEqual(Number(of));
		done[stage] = Number(at);
	}
	return lines.length;
}

/** So many of them, from the first to the last. */
const everySo = <T>(all: readonly T[], count: number): T[] =>
	all.filter((_, index) => index % Math.ceil(all.length / count) === 0 || index === all.length - 1);

/** That every key was told, once, for the tenant that it is of. */
async function expectSecrets(server: Server, path: string, tenants: number): Promise<void> {
	const secrets = secretsOf(path);
	const all = await allTenants(server);
	const named = all.filter(({ name }) => name.startsWith('Tenant '));
	expect(statSync(path).mode & 0o777).toBe(0o600);
	expect(named.map(({ name }) => name).sort()).toEqual(namesOf(tenants));
	expect(secrets.map(({ tenant }) => tenant).sort()).toEqual(namesOf(tenants));
	expect(new Set(secrets.map(({ api_key }) => api_key)).size).toBe(tenants);
	const ids = new Map(named.map(({ name, tenant_id }) => [name, tenant_id]));
	expect(secrets.filter(({ tenant, tenant_id }) => ids.get(tenant) !== tenant_id)).toEqual([]);
	for (const { api_key, tenant_id } of everySo(secrets, 20)) {
		const usage = await httpClient(server, { key: api_key }).get<{ tenant_id: string }>('/usage');
		expect(bodyOf(usage, 200).tenant_id).toBe(tenant_id);
	}
}

async function lastEntry(server: Server): Promise<number> {
	for (let after = 0; ; ) {
		const path = `/admin/audit?limit=100&after=${after}`;
		const { entries, has_more } = bodyOf(await operator(server).get<AuditPage>(path), 200);
		after = entries.at(-1)?.entry ?? after;
		if (!has_more) return after;
	}
}

const CHANGES = 2 * TENANTS + 1;

describe(`a document of ${TENANTS} tenants`, () => {
	let server: Server;
	let file: string;
	beforeAll(async () => {
		server = await start();
		file = documentOf(TENANTS);
	});
	afterAll(async () => {
		const complaints = server.log().filter(({ level }) => level === 'error');
		expect({ exitCode: await server.stop(), complaints }).toEqual({ exitCode: 0, complaints: [] });
	});

	test(
		'is made beside others, and every key told once',
		async () => {
			const out = join(folder, 'secrets.jsonl');
			const drift = await apply(server, file, '--dry-run');
			const untouched = await allTenants(server);
			const before = peakMibOf(server);

			const made = await applyBeside(server, file, '--secrets-out', out);

			const growth = peakMibOf(server) - before;
			const seconds = await secondsOfMaking(server);
			const share = made.longestSeconds / seconds;
			const lines = expectProgress(made.stderr);
			report(
				`${CHANGES} changes in ${seconds.toFixed(1)} s (the command ${made.seconds.toFixed(1)} s), ${lines} lines of progress; another tenant had ` +
					`${made.answers} answers, the longest wait ${(share * 100).toFixed(1)} % of that; ` +
					`memory grew by ${growth.toFixed(0)} MiB`,
			);
			expect([drift.exitCode, untouched.length]).toEqual([2, 0]);
			expect(lastLine(drift)).toBe(`${CHANGES} to create, 0 to change, 0 to prune, 0 unchanged`);
			expect(made.exitCode).toBe(0);
			expect(lastLine(made)).toBe(`${CHANGES} created, 0 changed, 0 pruned, 0 unchanged`);
			expect(made.stdout).not.toContain('sk_');
			await expectSecrets(server, out, TENANTS);
			expect(share).toBeLessThan(LONGEST_WAIT_SHARE);
			expect(lines).toBeGreaterThanOrEqual(Math.floor(seconds / SECONDS_OF_A_LINE));
			expect(growth).toBeLessThan(GROWTH_MIB_MAX);
		},
		COMMAND_DEADLINE_MS * 2,
	);

	test(
		'changes nothing when it is applied again, and what differs when something does',
		async () => {
			const out = join(folder, 'none.jsonl');
			const before = await lastEntry(server);

			const again = await applyBeside(server, file, '--secrets-out', out);
			const same = await apply(server, file, '--dry-run');
			const after = await lastEntry(server);
			const text = readFileSync(file, 'utf8').replace('domain: t7.example', 'domain: new.example');
			writeFileSync(file, text);
			const drift = await apply(server, file, '--dry-run');
			const changed = await apply(server, file);

			expectProgress(again.stderr);
			expect([again.exitCode, same.exitCode, drift.exitCode, changed.exitCode]).toEqual([
				0, 0, 2, 0,
			]);
			expect(lastLine(again)).toBe(`0 created, 0 changed, 0 pruned, ${CHANGES} unchanged`);
			expect(existsSync(out)).toBe(false);
			// The tenant beside it was made by the operator.
			expect(after).toBe(before + 1);
			expect(lastLine(changed)).toBe(`0 created, 1 changed, 0 pruned, ${CHANGES - 1} unchanged`);
			expect(await allTenants(server)).toHaveLength(TENANTS + 2);
			expect(again.longestSeconds / again.seconds).toBeLessThan(LONGEST_WAIT_SHARE);
		},
		COMMAND_DEADLINE_MS * 2,
	);
});

test(
	'a server that is killed in the middle, and comes back, makes the rest; every key is told once',
	async () => {
		const first = await start();
		const out = join(folder, 'after-a-kill.jsonl');
		const tenants = Math.max(400, Math.floor(TENANTS / 4));
		const running = apply(first, documentOf(tenants), '--secrets-out', out);
		await eventually(async () => (await progressOf(first)) > 0, 60_000, 'the first of it');
		const beside = await apply(first, documentOf(1));
		await eventually(async () => (await progressOf(first)) > tenants / 2, 60_000, 'half of it');
		let hasEnded = false;
		void running.finally(() => {
			hasEnded = true;
		});
		await first.kill();
		expect(hasEnded).toBe(false);
		const { dataDir, masterKey } = first;
		const second = await start({ dataDir, env: { MASTER_API_KEY: masterKey } });

		const { exitCode, stdout } = await running;

		expect(exitCode).toBe(0);
		expect(stdout).toContain(` created, 0 changed, 0 pruned, `);
		expect([beside.exitCode, beside.stderr]).toEqual([
			1,
			expect.stringContaining('Another document'),
		]);
		await expectSecrets(second, out, tenants);
		expect(await second.stop()).toBe(0);
	},
	COMMAND_DEADLINE_MS * 2,
);

test(
	'and a server that makes it all in one change would be seen',
	async () => {
		const server = await start({ instead: sabotaged(folder, APPLIES_IN_ONE_CHANGE) });

		const made = await applyBeside(server, documentOf(CONTROL_TENANTS));

		const share = made.longestSeconds / (await secondsOfMaking(server));
		report(`the control: the longest wait ${(share * 100).toFixed(1)} %`);
		expect(made.exitCode).toBe(0);
		expect(share).toBeGreaterThan(LONGEST_WAIT_SHARE);
	},
	COMMAND_DEADLINE_MS,
);
