/** Makes every kind of caller of the matrix, as the headers that it sends. */
import { type Credentials, headersOf } from '../../helpers/http.ts';
import type { Server } from '../../helpers/server.ts';
import {
	createKey,
	createManagementKey,
	createTicket,
	createToken,
	operator,
	type TestTenant,
} from '../../helpers/tenants.ts';
import { eventually } from '../../helpers/wait.ts';
import { CALLERS, type CallerName } from './expected.ts';
import { PERMISSION_OF, PERMISSIONS } from './permissions.ts';
import type { Twins } from './twins.ts';

export interface Callers {
	/** What this caller sends, for the operation or frame of this name. */
	headersOf(name: CallerName, subject: string): Record<string, string>;
	/** What `tic` opens its next socket with. */
	ticket(): Promise<string>;
}

export const CALLER_NAMES = Object.keys(CALLERS) as CallerName[];

/** All of them. The expired key was a good one until it expired. */
export async function createCallers(server: Server, { own, foreign }: Twins): Promise<Callers> {
	const { tenant, cast } = own;
	const key = tenant.api_key;
	if (withChecksum(key.slice(3, 42)) !== key) throw new Error('Keys have another checksum');
	const lacking = new Map<string, string>();
	for (const permission of new Set(Object.values(PERMISSION_OF))) {
		const others = PERMISSIONS.filter((each) => each !== permission);
		lacking.set(permission, (await createKey(tenant, others)).api_key);
	}
	const as = (user: string, credentials: Credentials = { key }) => ({ user, ...credentials });
	const fixed: Record<Exclude<CallerName, 'lac'>, Credentials> = {
		non: {},
		mal: as(cast.owner, { key: withWrongChecksum(key) }),
		unk: as(cast.owner, { key: withChecksum('Z'.repeat(39)) }),
		for: as(cast.owner, { key: withChecksum(key.slice(3, 13) + 'Z'.repeat(29)) }),
		rev: as(cast.owner, { key: await revokedKey(tenant) }),
		exp: as(cast.owner, { key: await expiredKey(tenant) }),
		twi: as(foreign.cast.owner, { key: foreign.tenant.api_key }),
		out: as(foreign.cast.owner),
		mem: as('mia'),
		mod: as('mona'),
		adm: as(cast.admin),
		own: as(cast.owner),
		ten: { key },
		bea: { user: cast.owner, headers: { Authorization: `Bearer ${key}` } },
		mas: { master: server.masterKey },
		mab: { headers: { Authorization: `Bearer ${server.masterKey}` } },
		tne: { key: lacking.get('events:read') ?? '' },
		evt: { key: (await createKey(tenant, ['events:read'])).api_key },
		tok: { headers: { Authorization: `Bearer ${await createToken(tenant, cast.owner)}` } },
		man: { management: await createManagementKey(server, own.plan_id) },
		mao: { management: await createManagementKey(server, foreign.plan_id) },
		tic: { headers: { Authorization: `Bearer ${await createTicket(tenant, cast.owner)}` } },
	};
	return {
		headersOf(name, subject) {
			if (name === 'tic' && subject === 'connections.open') return {};
			if (name !== 'lac') return headersOf(fixed[name]);
			return headersOf(as(cast.owner, { key: lacking.get(PERMISSION_OF[subject] ?? '') ?? key }));
		},
		ticket: () => createTicket(tenant, cast.owner),
	};
}

/** One letter of the secret is another. */
function withWrongChecksum(key: string): string {
	const letter = key[20] === 'a' ? 'b' : 'a';
	return key.slice(0, 20) + letter + key.slice(21);
}

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/**
 * A key with these 39 characters of id and secret, and the checksum that fits them: their CRC-32 in
 * 6 digits of base 62. `createCallers` holds it against a real key before it trusts it.
 */
function withChecksum(idAndSecret: string): string {
	let rest = Bun.hash.crc32(idAndSecret) >>> 0;
	let digits = '';
	for (let index = 0; index < 6; index++) {
		digits = ALPHABET[rest % 62] + digits;
		rest = Math.floor(rest / 62);
	}
	return `sk_${idAndSecret}${digits}`;
}

async function revokedKey(tenant: TestTenant): Promise<string> {
	const { key_id, api_key } = await createKey(tenant, ['*']);
	await operator(tenant.server).delete(`/admin/tenants/${tenant.tenant_id}/api-keys/${key_id}`);
	return api_key;
}

/** Good at first, so that what is seen later is the expiry and nothing else. */
async function expiredKey(tenant: TestTenant): Promise<string> {
	const expires_at = new Date(Date.now() + 1_000).toISOString();
	const { api_key } = await createKey(tenant, ['*'], { expires_at });
	const statusNow = async () => {
		const answer = await fetch(`${tenant.server.url}/rooms`, {
			headers: { 'X-API-Key': api_key, 'X-User-Id': 'olga' },
		});
		await answer.text();
		return answer.status;
	};
	if ((await statusNow()) !== 200) throw new Error('The key that is to expire was never good');
	await eventually(async () => (await statusNow()) === 401, 5_000, 'the key to expire');
	return api_key;
}
