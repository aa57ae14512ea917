/**
 * Walks the chain of the audit log from its first entry and says where it is broken.
 *
 * Called by: the operator's command, in a process of its own, while a server writes on or none runs. Looks at a
 * slice of entries at a time, so it needs the same little memory for any length.
 *
 * What it cannot know: whether the whole chain was made anew, or its end cut off together with SQLite's own
 * count. Against both helps a hash that was kept elsewhere.
 */
import { isSameHash, sha256 } from '../../../core/api-key.ts';
import type { Stored } from '../../../db/client.ts';
import { GENESIS, hashOf } from '../service.ts';
import type { AuditStore, EntryRow } from '../store.ts';

/** Its entry names a tenant and is filed under none. */
const PURGE = 'tenants.purge';

/** Entries that are looked at in one go. */
const SLICE = 500;

export interface VerifyTask {
	audit: Stored<AuditStore>;
	/** A hash that was kept elsewhere: it must be in the chain. */
	head?: Uint8Array;
	/** Told now and then how many entries were found good. */
	onEntries(entries: number): void;
}

/** What became of it. */
export type Verdict =
	| { isWhole: true; entries: number; erased: number; head: Uint8Array }
	/** `entry` is the first bad one. */
	| { isWhole: false; entry: number; problem: string };

const broken = (entry: number, problem: string): Verdict => ({ isWhole: false, entry, problem });

/** Verifies a log of any length. Changes nothing. */
export async function verifyChain({ audit, head, onEntries }: VerifyTask): Promise<Verdict> {
	let last: { entry: number; hash: Uint8Array } = { entry: 0, hash: GENESIS };
	let erased = 0;
	let hasHead = head === undefined;
	for (;;) {
		const { rows, counted } = await audit.listChain(last.entry, SLICE);
		for (const row of rows) {
			const problem = problemOf(row, last) ?? (await tenantProblemOf(audit, row));
			if (problem !== undefined) return broken(last.entry + 1, problem);
			if (row.details === null) erased++;
			if (head !== undefined && isSameHash(row.hash, head)) hasHead = true;
			last = row;
		}
		onEntries(last.entry);
		if (rows.length > 0) continue;
		if (counted !== last.entry) return endProblem(last.entry, counted);
		if (!hasHead) return broken(last.entry + 1, 'the hash that was kept is not in the chain');
		return { isWhole: true, entries: last.entry, erased, head: last.hash };
	}
}

/** What is wrong with an entry that should follow the last one. */
function problemOf(row: EntryRow, last: { entry: number; hash: Uint8Array }): string | undefined {
	if (row.entry !== last.entry + 1) return `it is missing: the next one there is ${row.entry}`;
	const areHashes = row.hash.length === 32 && row.details_hash.length === 32;
	if (!areHashes || !isSameHash(row.hash, hashOf(last.hash, row))) {
		return 'its hash is not that of its fields and of the entry before: it, or that one, was changed';
	}
	if (row.details !== null && !isSameHash(row.details_hash, sha256(row.details))) {
		return 'its details are not those that its hash was made of';
	}
	return undefined;
}

/**
 * The number of the tenant is not in the hash, for it goes when the tenant is purged. It must be that of the
 * tenant that the details name, as long as there are both.
 */
async function tenantProblemOf(
	audit: Stored<AuditStore>,
	{ action, details, tenant }: EntryRow,
): Promise<string | undefined> {
	if (details === null) {
		return tenant === null ? undefined : 'its details are gone, and its tenant is not';
	}
	const tenant_id: unknown = JSON.parse(details).target?.tenant_id;
	if (typeof tenant_id !== 'string') {
		return tenant === null ? undefined : 'it is filed under a tenant that it is not about';
	}
	// It tells of one that is gone; another life of it may have been imported since.
	if (action === PURGE && tenant === null) return undefined;
	const actual = await audit.findTenant(tenant_id);
	const isRight = actual === undefined || actual === tenant;
	return isRight ? undefined : 'it is not filed under the tenant that it is about';
}

function endProblem(last: number, counted: number): Verdict {
	if (counted < last) return broken(last, `only ${counted} were ever counted`);
	return broken(last + 1, `it is missing, and so is all after it up to ${counted}`);
}
