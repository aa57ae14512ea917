import type { Database } from 'bun:sqlite';
import type { PlanId, PlanNo, TenantId, TenantNo } from '../../core/ids.ts';
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

/** An entry with the ids on the wire of its tenant and plan, as far as these are there. */
export interface ShownEntryRow extends EntryRow {
	tenant_id: TenantId | null;
	plan_id: PlanId | null;
}

/** Which entries; null: of any. */
export interface EntryFilter {
	tenant: TenantNo | null;
	plan: PlanNo | null;
	action: string | null;
}

const COLUMNS = `a.entry, a.created_at, a.credential, a.action, a.request_id, a.plan, a.tenant, a.details,
	a.details_hash, a.hash`;

const FILTERS = ['tenant', 'plan', 'action'] as const;

/** A statement for each set of filters: one for all of them could use no index. */
const pageSql = (filters: readonly string[], isForward: boolean) => `
	SELECT ${COLUMNS}, t.tenant_id, p.plan_id FROM audit a
	LEFT JOIN tenants t ON t.tenant = a.tenant
	LEFT JOIN plans p ON p.plan = a.plan
	WHERE ${filters.map((name) => `a.${name} = $${name} AND `).join('')}
		a.entry > $after AND a.entry < $before
	ORDER BY a.entry ${isForward ? '' : 'DESC '}LIMIT $limit`;

const SQL = {
	last: 'SELECT entry, hash FROM audit ORDER BY entry DESC LIMIT 1',
	insert: `INSERT INTO audit (entry, created_at, credential, action, request_id, plan, tenant, details,
			details_hash, hash)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
	chain: `SELECT ${COLUMNS} FROM audit a WHERE a.entry > ? ORDER BY a.entry LIMIT ?`,
	counted: `SELECT seq FROM sqlite_sequence WHERE name = 'audit'`,
	scope: 'SELECT tenant, plan FROM tenants WHERE tenant_id = ?',
};

/** All SQL of the audit log. */
export function createAuditStore(db: Database) {
	const last = prepare<Pick<EntryRow, 'entry' | 'hash'>, []>(db, SQL.last);
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
	>(db, SQL.insert);
	const chain = prepare<EntryRow, [number, number]>(db, SQL.chain);
	const counted = prepare<{ seq: number }, []>(db, SQL.counted);
	const scope = prepare<{ tenant: TenantNo; plan: PlanNo | null }, [string]>(db, SQL.scope);
	const pages = new Map(
		subsetsOf(FILTERS).flatMap((names) =>
			[true, false].map((isForward) => [
				nameOf(names, isForward),
				prepare<ShownEntryRow, Record<string, number | string>>(db, pageSql(names, isForward)),
			]),
		),
	);
	const lookAt = db.transaction((after: number, limit: number) => ({
		rows: chain.all(after, limit),
		counted: counted.get()?.seq ?? 0,
	}));

	const eraseSome = prepare<null, { tenant: TenantNo; limit: number }>(
		db,
		`UPDATE audit SET details = NULL, tenant = NULL
		WHERE entry IN (SELECT entry FROM audit WHERE tenant = $tenant ORDER BY entry LIMIT $limit)`,
	);

	return {
		/** Erases what at most so many entries say of a tenant. Returns of how many. */
		eraseSome: (tenant: TenantNo, limit: number): number =>
			eraseSome.run({ tenant, limit }).changes,
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
		/** Entries with `after < entry < before`, ascending: the first `limit` of them, or the last. */
		list(
			filter: EntryFilter,
			range: { after: number; before: number },
			isForward: boolean,
			limit: number,
		): ShownEntryRow[] {
			const given = FILTERS.flatMap((name) => {
				const value = filter[name];
				return value === null ? [] : [[name, value] as const];
			});
			const page = pages.get(
				nameOf(
					given.map(([name]) => name),
					isForward,
				),
			);
			const rows = page?.all({ ...Object.fromEntries(given), ...range, limit }) ?? [];
			return isForward ? rows : rows.reverse();
		},
		/** The next entries of the chain, and the highest number that SQLite has ever given out here. */
		listChain: (after: number, limit: number): { rows: EntryRow[]; counted: number } =>
			lookAt(after, limit),
		/** The number of a tenant, whatever has become of it; undefined for one that is not there. */
		findTenant: (tenant_id: string): TenantNo | undefined => scope.get(tenant_id)?.tenant,
		/** The same with its plan: what an entry about it is filed under. */
		findScope: (tenant_id: string): { tenant: TenantNo; plan: PlanNo | null } | undefined =>
			scope.get(tenant_id) ?? undefined,
	};
}

export type AuditStore = ReturnType<typeof createAuditStore>;

const nameOf = (filters: readonly string[], isForward: boolean): string =>
	[...filters, isForward ? 'forward' : 'backward'].join(' ');

function subsetsOf([first, ...rest]: readonly string[]): string[][] {
	if (first === undefined) return [[]];
	const others = subsetsOf(rest);
	return [...others, ...others.map((subset) => [first, ...subset])];
}
