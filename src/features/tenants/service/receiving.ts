/** A tenant that comes out of a file: looked at as if somebody had asked for it, before any of it is stored. */
import { TypeCompiler } from '@sinclair/typebox/compiler';
import type { Clock } from '../../../core/clock.ts';
import { AppError } from '../../../core/errors.ts';
import type { Vault } from '../../../core/vault.ts';
import type { Row } from '../../../db/tenant-file.ts';
import { getTenant } from '../schema.ts';
import type { TenantRow } from '../store.ts';
import { newPurge } from './purging.ts';
import { shownOf } from './rows.ts';

/** A tenant that may be stored. */
export interface Received {
	/** As it is to be stored. Its plan is by its lasting name, as in the file. */
	row: Row;
	/** Its SMTP password is under the key of another server: nobody here can use it. */
	hasUnreadablePassword: boolean;
}

/** @throws `CONFLICT` naming the field that no server of ours writes so. */
export type Receive = (row: Row) => Promise<Received>;

/** Statuses with which a tenant may come. */
const STATUSES: readonly unknown[] = ['active', 'suspended', 'deleting'];
const NAME = /^[\x21-\x7e]{1,64}$/;

export interface ReceivingDeps {
	vault: Vault;
	clock: Pick<Clock, 'now'>;
	/** For how long a deleted tenant may be restored. */
	retentionMs: number;
}

/**
 * Makes the look at a tenant's row. One that could not be shown would be in the way of all others, for whoever
 * lists tenants is shown all of them.
 */
export function createReceive({ vault, clock, retentionMs }: ReceivingDeps): Receive {
	return async function receive(file) {
		const isDeleting = file.status === 'deleting';
		if (!STATUSES.includes(file.status)) throw refused('/status');
		if (isDeleting === (file.purge_at === null)) throw refused('/purge_at');
		const row = {
			...file,
			purge: isDeleting ? purgeOf(file) : null,
			// Who brings a tenant in wants it: it can be restored for as long as one that is deleted now.
			purge_at: isDeleting ? clock.now() + retentionMs : null,
		};
		// The columns are those of our own table, and so are their types: its schema is the same, and strict.
		const shown = await shownAs({ ...row, plan: null } as unknown as TenantRow, vault);
		return { row, hasUnreadablePassword: shown.smtp?.password === 'unreadable' };
	};
}

async function shownAs(row: TenantRow, vault: Vault) {
	const noPlans = { find: () => undefined };
	const shown = await shownOf({ plans: noPlans }, row, vault).catch(() => {
		// Text that is no JSON, a time that is none.
		throw refused('');
	});
	const check = TypeCompiler.Compile(getTenant.output);
	if (check.Check(shown)) return shown;
	throw refused(check.Errors(shown).First()?.path ?? '');
}

/** Who deleted it; the plan that confined them was a number of the other server. */
function purgeOf({ purge }: Row): string {
	const by: { credential?: unknown; request_id?: unknown } = parsed(purge)?.by ?? {};
	const nameOf = (value: unknown) => (typeof value === 'string' && NAME.test(value) ? value : '-');
	return JSON.stringify(
		newPurge(
			{ credential: nameOf(by.credential), plan: null, request_id: nameOf(by.request_id) },
			null,
		),
	);
}

function parsed(text: unknown): { by?: object } | null {
	try {
		return JSON.parse(String(text));
	} catch {
		// Whoever wrote that deleted nothing.
		return null;
	}
}

const refused = (path: string): AppError =>
	new AppError(
		'CONFLICT',
		`The file has a tenant that no server wrote${path === '' ? '' : `: see ${path.slice(1)}`}`,
	);
