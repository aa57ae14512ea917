/** What a credential may do ends, or is another, with the next request and on open sockets, however much it sends. */
import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
	HALTS_LATE,
	LIMITS_LATE,
	REGRANTS_LATE,
	REVOKES_LATE,
	sabotaged,
} from '../crash/sabotage.ts';
import { type Server, type ServerOptions, startServer } from '../helpers/server.ts';
import { operator } from '../helpers/tenants.ts';
import { type Change, type ChangeRun, changeUnderLoad, type Target } from './change-load.ts';

const ROUNDS = 8;
const CONTROL_ROUNDS = 2;
const TIMEOUT_MS = 120_000;
const env = {
	...{ DEFAULT_RATE_LIMIT: '0', WS_FRAMES_PER_SECOND: '0' },
	// One address is refused very often here.
	AUTH_FAILURES_PER_MINUTE: '0',
};

const tenantPath = ({ tenant }: Target) => `/admin/tenants/${tenant.tenant_id}`;
const keyPath = (target: Target) => `${tenantPath(target)}/api-keys/${target.key_id}`;
const patch = (path: (target: Target) => string, body: unknown) => (server: Server, at: Target) =>
	operator(server).patch(path(at), body);

const CHANGES = [
	{
		name: 'a revocation',
		change: {
			make: (server: Server, at: Target) => operator(server).delete(keyPath(at)),
			...{ status: 401, code: 'AUTHENTICATION_ERROR', closed: 4501 },
			...{ isExact: true, sparesTenant: true },
		},
		fault: REVOKES_LATE,
		seen: /sends passed behind it, over rest/,
	},
	{
		name: 'a suspension',
		change: {
			make: (server: Server, at: Target) => operator(server).post(`${tenantPath(at)}/suspend`),
			undo: (server: Server, at: Target) => operator(server).post(`${tenantPath(at)}/resume`),
			...{ status: 403, code: 'AUTHORIZATION_ERROR', closed: 4509 },
			...{ isExact: true, sparesTenant: false },
		},
		fault: HALTS_LATE,
		seen: /sends passed behind it, over rest/,
	},
	{
		name: 'a change of permissions',
		change: {
			make: patch(keyPath, { permissions: ['rooms:read'] }),
			...{ status: 403, code: 'AUTHORIZATION_ERROR' },
			...{ isExact: false, sparesTenant: true },
		},
		fault: REGRANTS_LATE,
		seen: /sends passed behind it, over socket/,
	},
	{
		name: 'a change of limits',
		change: {
			make: patch(tenantPath, { rate_limit: { requests_per_second: 1, burst: 1 } }),
			undo: patch(tenantPath, { rate_limit: null }),
			...{ status: 429, code: 'RATE_LIMIT_EXCEEDED' },
			allowance: { burst: 1, perSecond: 1 },
			...{ isExact: false, sparesTenant: false },
		},
		fault: LIMITS_LATE,
		seen: /sends passed behind it, over rest and socket/,
	},
] satisfies { name: string; change: Change; fault: unknown; seen: RegExp }[];

async function runWith(options: ServerOptions, change: Change, rounds: number): Promise<ChangeRun> {
	const server = await startServer({ env, ...options });
	try {
		return await changeUnderLoad(server, change, rounds);
	} finally {
		await server.kill();
	}
}

describe.each(CHANGES)('$name', ({ name, change, fault, seen }) => {
	test(
		'lets nothing through that is sent behind its answer, over REST and on open sockets',
		async () => {
			const { violations, rounds, stored, late } = await runWith({}, change, ROUNDS);

			console.log(
				`${name}: ${rounds} times, ${stored.rest} + ${stored.socket} stored before, ${late.rest} + ${late.socket} sent behind`,
			);
			expect(violations).toEqual([]);
			expect(rounds).toBe(ROUNDS);
			expect(late.rest).toBeGreaterThanOrEqual(ROUNDS * 12);
			// Where sockets are closed, few are so slow that something is sent through them still.
			if (!('closed' in change)) expect(late.socket).toBeGreaterThanOrEqual(ROUNDS * 36);
		},
		TIMEOUT_MS,
	);

	test(
		'and a server on which it takes effect later would be seen',
		async () => {
			const folder = mkdtempSync(join(tmpdir(), 'chatapi-change-'));
			try {
				const instead = sabotaged(folder, fault);
				const { violations } = await runWith({ instead }, change, CONTROL_ROUNDS);

				expect(violations.join('\n')).toMatch(seen);
			} finally {
				rmSync(folder, { recursive: true, force: true });
			}
		},
		TIMEOUT_MS,
	);
});
