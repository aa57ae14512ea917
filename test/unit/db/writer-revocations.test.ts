/** What a change revokes is revoked for all that runs behind it, in the same batch already. */
import { describe, expect, test } from 'bun:test';
import type { Effect } from '../../../src/core/effect.ts';
import { AppError } from '../../../src/core/errors.ts';
import type { KeyId, UserId } from '../../../src/core/ids.ts';
import type { Scope } from '../../../src/db/change.ts';
import { ACME, effect, GLOBEX, limitPages, rejectionOf, useWorkbench } from './workbench.ts';

const openWorkbench = useWorkbench();
type Bench = ReturnType<typeof openWorkbench>;

const KEY = 'key_1' as KeyId;
const ANN = 'ann' as UserId;
const ofKey: Effect = { name: 'key.revoked', tenant_id: ACME.tenant_id, key_id: KEY };
const ofUser = (name: 'user.revoked' | 'user.deactivated'): Effect => ({
	name,
	tenant_id: ACME.tenant_id,
	user_id: ANN,
});

/** What comes with a key, as a user of the tenant or as the tenant itself. */
function scopeOf({ generations }: Bench, key: string, user?: string, { tenant_id, tenant } = ACME) {
	const stamp = generations.stamp(tenant_id, key);
	return {
		tenant,
		tenant_id,
		stamp: user === undefined ? stamp : generations.stampUser(stamp, user),
	} satisfies Scope;
}

/** Queues a change that revokes, by a caller that this concerns not. */
const revoke = ({ writer }: Bench, revocation: Effect, text = 'revocation') =>
	writer.commit(ACME, (tx) => {
		tx.insert(text);
		return { value: null, effects: [revocation] };
	});

const CASES = [
	{ name: 'a revoked key', revocation: ofKey, message: 'Invalid API key' },
	{
		name: 'a revoked user',
		revocation: ofUser('user.revoked'),
		message: 'Invalid or expired token',
	},
	{
		name: 'a deactivated user',
		revocation: ofUser('user.deactivated'),
		message: 'Invalid or expired token',
	},
];

describe.each(CASES)('$name, within one batch', ({ revocation, message }) => {
	test('is served before the revocation and refused behind it; others are not', async () => {
		const bench = openWorkbench();
		const asAnn = scopeOf(bench, KEY, ANN);
		const asBob = scopeOf(bench, 'key_2', 'bob');

		const before = bench.note('before', { scope: asAnn });
		const revoked = revoke(bench, revocation);
		const behind = rejectionOf(bench.note('behind', { scope: asAnn, events: 1 }));
		const other = bench.note('other', { scope: asBob });

		expect(await behind).toMatchObject({ errorCode: 'AUTHENTICATION_ERROR', message });
		await Promise.all([before, revoked, other]);
		expect(bench.notes()).toEqual(['before', 'revocation', 'other']);
		expect(bench.cursors(ACME)).toEqual([]);
		expect(bench.writer.counters).toMatchObject({ commits: 1, changes: 4 });
		expect(bench.told).toEqual([`before ${revocation.name}`, `after ${revocation.name}`]);
		expect(bench.defects).toEqual([]);
	});

	test('is of one tenant: the same names in another one go on', async () => {
		const bench = openWorkbench();
		const elsewhere = scopeOf(bench, 'key_9', ANN, GLOBEX);

		await Promise.all([revoke(bench, revocation), bench.note('kept', { scope: elsewhere })]);

		expect(bench.notes()).toEqual(['revocation', 'kept']);
		expect(bench.writer.counters.commits).toBe(1);
	});

	test('is not, when the change that would revoke is undone', async () => {
		const bench = openWorkbench();
		const asAnn = scopeOf(bench, KEY, ANN);
		const undone = rejectionOf(
			bench.writer.commit(ACME, (tx) => {
				tx.insert('undone');
				const outcome = { value: null, effects: [revocation] };
				if (outcome.value === null) throw new AppError('CONFLICT', 'undone');
				return outcome;
			}),
		);

		await bench.note('kept', { scope: asAnn });

		expect(await undone).toMatchObject({ errorCode: 'CONFLICT' });
		expect(bench.notes()).toEqual(['kept']);
		expect(bench.writer.counters.commits).toBe(1);
	});

	test('is not, when the batch fails: what comes later is served', async () => {
		const bench = openWorkbench();
		const asAnn = scopeOf(bench, KEY, ANN);
		const makeRoom = limitPages(bench.connection());
		const failed = rejectionOf(revoke(bench, revocation));
		// Has the whole transaction rolled back, the revocation before it too.
		await rejectionOf(bench.note('x'.repeat(100_000)));
		expect(await failed).toMatchObject({ errorCode: 'INSUFFICIENT_STORAGE' });
		makeRoom();

		await bench.note('kept', { scope: asAnn });

		expect(bench.notes()).toEqual(['kept']);
		expect(bench.told).toEqual([]);
	});

	test('is refused anew when a stuck change makes the batch run again', async () => {
		const bench = openWorkbench();
		const asAnn = scopeOf(bench, KEY, ANN);

		const revoked = revoke(bench, revocation);
		const stuck = rejectionOf(bench.writer.commit(ACME, () => new Promise(() => {})));
		const behind = rejectionOf(bench.note('behind', { scope: asAnn }));

		expect(await behind).toMatchObject({ errorCode: 'AUTHENTICATION_ERROR' });
		await Promise.all([revoked, stuck]);
		expect(bench.notes()).toEqual(['revocation']);
	});
});

test('the tenant itself goes on with its key after a user was revoked, and effects of another kind revoke nobody', async () => {
	const bench = openWorkbench();
	const itself = scopeOf(bench, KEY);
	const asAnn = scopeOf(bench, KEY, ANN);

	await Promise.all([
		bench.writer.commit(ACME, () => ({ value: null, effects: [effect('member.joined')] })),
		bench.note('ann', { scope: asAnn }),
		revoke(bench, ofUser('user.revoked')),
		bench.note('itself', { scope: itself }),
	]);

	expect(bench.notes()).toEqual(['ann', 'revocation', 'itself']);
	expect(bench.writer.counters.commits).toBe(1);
});

describe('a suspended tenant, within one batch', () => {
	const suspension: Effect = { name: 'tenant.suspended', tenant_id: ACME.tenant_id };

	test('is refused behind it, whatever its credential, and says why; other tenants are not', async () => {
		const bench = openWorkbench();
		const [asAnn, itself] = [scopeOf(bench, KEY, ANN), scopeOf(bench, 'key_2')];
		const elsewhere = scopeOf(bench, KEY, ANN, GLOBEX);

		const before = bench.note('before', { scope: asAnn });
		const suspended = revoke(bench, suspension);
		const behind = [asAnn, itself].map((scope) => rejectionOf(bench.note('behind', { scope })));
		const other = bench.note('other', { scope: elsewhere });

		for (const rejection of await Promise.all(behind)) {
			expect(rejection).toMatchObject({
				errorCode: 'AUTHORIZATION_ERROR',
				message: 'This tenant is suspended',
			});
		}
		await Promise.all([before, suspended, other]);
		expect(bench.notes().toSorted()).toEqual(['before', 'other', 'revocation']);
		expect(bench.writer.counters.commits).toBe(1);
	});

	test('is not, when the suspension is undone', async () => {
		const bench = openWorkbench();
		const undone = rejectionOf(
			bench.writer.commit(ACME, (tx) => {
				tx.insert('undone');
				const outcome = { value: null, effects: [suspension] };
				if (outcome.value === null) throw new AppError('CONFLICT', 'undone');
				return outcome;
			}),
		);

		await bench.note('kept', { scope: scopeOf(bench, KEY, ANN) });

		expect(await undone).toMatchObject({ errorCode: 'CONFLICT' });
		expect(bench.notes()).toEqual(['kept']);
	});
});
