import type { Database } from 'bun:sqlite';
import type { PlanNo, TenantNo } from '../../core/ids.ts';
import { prepare } from '../../db/statement.ts';

/** An entry of the audit log, before it is part of the chain. */
export interface NewEntry {
	created_at: number;
	credential: string;
	action: string;
	request_id: string;
	plan: PlanNo | null;
	tenant: TenantNo | null;
	/** JSON. */
	details: string;
	details_hash: Uint8Array;
}

export interface EntryRow extends Omit<NewEntry, 'details'> {
	entry: number;
	/** Null once it was erased. */
	details: string | null;
	hash: Uint8Array;
}

/** All SQL of the audit log. */
export function createAuditStore(db: Database) {
	const last = prepare<Pick<EntryRow, 'entry' | 'hash'>, []>(
		db,
		'SELECT entry, hash FROM audit ORDER BY entry DESC LIMIT 1',
	);
	const insert = prepare<
		null,
		[
			number,
			number,
			string,
			string,
			string,
			number | null,
			number | null,
			string,
			Uint8Array,
			Uint8Array,
		]
	>(
		db,
		`INSERT INTO audit (entry, created_at, credential, action, request_id, plan, tenant, details, details_hash, hash)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
	);

	return {
		/** The end of the chain; undefined before the first entry. */
		findLast: (): Pick<EntryRow, 'entry' | 'hash'> | undefined => last.get() ?? undefined,
		insert: ({ entry, hash, ...row }: NewEntry & Pick<EntryRow, 'entry' | 'hash'>): void =>
			void insert.run(
				entry,
				row.created_at,
				row.credential,
				row.action,
				row.request_id,
				row.plan,
				row.tenant,
				row.details,
				row.details_hash,
				hash,
			),
	};
}

export type AuditStore = ReturnType<typeof createAuditStore>;
