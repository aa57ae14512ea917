/** One walk over a document, comparing or making: what it is given, and what it writes down. */
import type { OperatorCaller } from '../../../core/caller.ts';
import { AppError } from '../../../core/errors.ts';
import type { PlanId, TenantId } from '../../../core/ids.ts';
import type { Stored } from '../../../db/client.ts';
import type { Keys } from '../../keys/service.ts';
import type { Plans } from '../../plans/service.ts';
import type { Tenants } from '../../tenants/service.ts';
import type { Change, NewSecret } from '../schema.ts';
import type { ConfigurationStore } from '../store.ts';

/** The use-cases of what a document is about, over some stores. */
export interface Operations {
	plans: Pick<Plans, 'get' | 'create' | 'update' | 'remove'>;
	tenants: Pick<Tenants, 'get' | 'create' | 'createWithoutKey' | 'update' | 'remove'>;
	keys: Pick<Keys, 'list' | 'create' | 'update' | 'revoke'>;
}

/** What finds things by name. */
export interface ConfigurationTx {
	configuration: Stored<ConfigurationStore>;
}

/** What a walk has found, or done. */
export interface Findings {
	changes: Change[];
	api_keys: NewSecret[];
	unchanged: { plans: number; tenants: number; api_keys: number };
}

export interface Pass extends Findings {
	caller: OperatorCaller;
	operations: Operations;
	names: Stored<ConfigurationStore>;
	/** Nothing is written: what would be is written down. */
	isDry: boolean;
	prune: PruneRule | undefined;
	/** What the document names, by id: it stays. */
	kept: Set<string>;
	/** Names of plans that are not there yet, and will be. */
	newPlans: Set<string>;
	/** How many tenants a dry run would take off a plan. */
	leaving: Map<string, number>;
}

export interface PruneRule {
	/** Undefined: everything that the document does not name. */
	ids: ReadonlySet<string> | undefined;
}

export const noFindings = (): Findings => ({
	changes: [],
	api_keys: [],
	unchanged: { plans: 0, tenants: 0, api_keys: 0 },
});

/** Whether what the document does not name goes. */
export const isPruned = ({ prune, kept }: Pass, id: string): boolean =>
	prune !== undefined && !kept.has(id) && (prune.ids === undefined || prune.ids.has(id));

/**
 * Notes that the document names a thing.
 *
 * @throws `VALIDATION_ERROR` when it has named it before, once by name and once by id.
 */
export function keep({ kept }: Pass, id: string): void {
	if (kept.has(id)) throw new AppError('VALIDATION_ERROR', 'The document names this twice');
	kept.add(id);
}

/** The id of the only plan of a name; undefined for none. @throws `CONFLICT` for several. */
export async function planNamed({ names }: Pass, name: string): Promise<PlanId | undefined> {
	return only(await names.listPlansNamed(name), ({ plan_id }) => plan_id, 'plans', 'plan_id');
}

/** The id of the only tenant of a name; undefined for none. @throws `CONFLICT` for several. */
export async function tenantNamed({ names }: Pass, name: string): Promise<TenantId | undefined> {
	const rows = await names.listTenantsNamed(name);
	return only(rows, ({ tenant_id }) => tenant_id, 'tenants', 'tenant_id');
}

export function only<Row, Id>(
	rows: readonly Row[],
	idOf: (row: Row) => Id,
	kind: string,
	field: string,
): Id | undefined {
	if (rows.length <= 1) return rows.map(idOf)[0];
	throw new AppError('CONFLICT', `Several ${kind} have this name: say which by ${field}`, {
		field: 'name',
	});
}

/** Tells what a document got wrong by where it says so: what it is, whoever throws it knows. */
export async function located<Value>(place: string, run: () => Promise<Value>): Promise<Value> {
	try {
		return await run();
	} catch (error) {
		if (!(error instanceof AppError) || !IS_ABOUT_INPUT.has(error.errorCode)) throw error;
		const { field = '' } = error.details;
		const inner = field === '' || field.startsWith('/') ? field : `/${field}`;
		const whole = `${place}${inner}`.slice(0, 128).toWellFormed();
		throw new AppError(error.errorCode, error.message, { ...error.details, field: whole });
	}
}

const IS_ABOUT_INPUT: ReadonlySet<string> = new Set([
	'VALIDATION_ERROR',
	'NOT_FOUND',
	'CONFLICT',
	'PAYLOAD_TOO_LARGE',
]);
