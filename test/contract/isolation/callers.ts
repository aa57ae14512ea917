/** Makes every kind of caller of the matrix, as the headers that it sends. */
import { type Credentials, headersOf } from '../../helpers/http.ts';
import type { Server } from '../../helpers/server.ts';
import { createKey, operator, type TestTenant } from '../../helpers/tenants.ts';
import { eventually } from '../../helpers/wait.ts';
import { CALLERS, type CallerName, PERMISSION_OF, PERMISSIONS } from './expected.ts';
import type { Twins } from './twins.ts';

export interface Callers {
	/** What this caller sends, for the operation or frame of this name. */
	headersOf(name: CallerName, subject: string): Record<string, string>;
}

export const CALLER_NAMES = Object.keys(CALLERS) as CallerName[];

/** All of them. The expired key was a good one until it expired. */
export async function createCallers(server: Server, { own, foreign }: Twins): Promise<Callers> {
	const { tenant, cast } = own;
	const key = tenant.api_key;
	const lacking = new Map<string, string>();
	for (const permission of new Set(Object.values(PERMISSION_OF))) {
		const others = PERMISSIONS.filter((each) => each !== permission);
		lacking.set(permission, (await createKey(tenant, others)).api_key);
	}
	const as = (user: string, credentials: Credentials = { key }) => ({ user, ...credentials });
	const fixed: Record<Exclude<CallerName, 'lack'>, Credentials> = {
		none: {},
		malf: as(cast.owner, { key: withWrongChecksum(key) }),
		unkn: as(cast.owner, { key: await strangersKey(server) }),
		revo: as(cast.owner, { key: await revokedKey(tenant) }),
		expi: as(cast.owner, { key: await expiredKey(tenant) }),
		twin: as(foreign.cast.owner, { key: foreign.tenant.api_key }),
		outs: as(foreign.cast.owner),
		memb: as('mia'),
		mode: as('mona'),
		admi: as(cast.admin),
		owne: as(cast.owner),
		tena: { key },
		bear: { user: cast.owner, headers: { Authorization: `Bearer ${key}` } },
		mast: { master: server.masterKey },
		mbea: { headers: { Authorization: `Bearer ${server.masterKey}` } },
	};
	return {
		headersOf(name, subject) {
			if (name !== 'lack') return headersOf(fixed[name]);
			return headersOf(as(cast.owner, { key: lacking.get(PERMISSION_OF[subject] ?? '') ?? key }));
		},
	};
}

/** One letter of the secret is another. */
function withWrongChecksum(key: string): string {
	const letter = key[20] === 'a' ? 'b' : 'a';
	return key.slice(0, 20) + letter + key.slice(21);
}

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/**
 * A key with a checksum that fits and that nobody was given: as the contract describes it, 10
 * characters of id, 29 of secret, and the CRC-32 of `sk_` with them in 6 of base 62.
 *
 * @throws when a key made in the same way from a real one's characters is not that key.
 */
async function strangersKey(server: Server): Promise<string> {
	const { createTenant } = await import('../../helpers/tenants.ts');
	const { api_key } = await createTenant(server, { name: 'Somebody' });
	if (withChecksum(api_key.slice(0, 42)) !== api_key) throw new Error('The checksum is another');
	return withChecksum(`sk_${'Z'.repeat(39)}`);
}

function withChecksum(text: string): string {
	let rest = Bun.hash.crc32(text) >>> 0;
	let digits = '';
	for (let index = 0; index < 6; index++) {
		digits = ALPHABET[rest % 62] + digits;
		rest = Math.floor(rest / 62);
	}
	return text + digits;
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
