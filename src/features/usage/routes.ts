import type { InputOf, OutputOf } from '../../core/operation.ts';
import type { Alternative, Face } from '../../http/face.ts';
import { getUsage, inspectPlanUsage, inspectUsage, USAGE_FIELDS } from './schema.ts';
import type { Usage } from './service.ts';

type Output = OutputOf<typeof getUsage>;
type PlanOutput = OutputOf<typeof inspectPlanUsage>;

const COLUMNS = ['day', ...USAGE_FIELDS] as const;

/** The days as lines. There is nothing in them to be quoted: days, moments and numbers. */
function csvOf({ explained }: Output): string {
	const lines = (explained?.items ?? []).map((item) => {
		const cells = item as Record<string, string | number | null>;
		return COLUMNS.map((name) => cells[name] ?? '').join(',');
	});
	return [COLUMNS.join(','), ...lines].map((line) => `${line}\r\n`).join('');
}

/** @see https://www.rfc-editor.org/rfc/rfc4180 */
const csv: Alternative<InputOf<typeof getUsage>, Output> = {
	type: 'text/csv',
	async instead(request, answer) {
		if (request.headers.get('Accept')?.includes('text/csv') !== true) return undefined;
		const body = csvOf(await answer({ explain: 'days' }));
		return { body, type: 'text/csv; charset=utf-8; header=present' };
	},
};

/** The tenants as lines. */
const csvOfTenants: Alternative<InputOf<typeof inspectPlanUsage>, PlanOutput> = {
	type: 'text/csv',
	async instead(request, answer) {
		if (request.headers.get('Accept')?.includes('text/csv') !== true) return undefined;
		const { tenants } = await answer({});
		const columns = ['tenant_id', ...USAGE_FIELDS] as const;
		const lines = tenants.map((part) => columns.map((name) => part[name] ?? '').join(','));
		const body = [columns.join(','), ...lines].map((line) => `${line}\r\n`).join('');
		return { body, type: 'text/csv; charset=utf-8; header=present' };
	},
};

export function routeUsage(face: Face, usage: Usage): void {
	face.get('/usage', getUsage, usage.get, 200, csv);
	face.get('/admin/tenants/:tenant_id/usage', inspectUsage, usage.inspect, 200, csv);
	face.get('/admin/plans/:plan_id/usage', inspectPlanUsage, usage.inspectPlan, 200, csvOfTenants);
}
