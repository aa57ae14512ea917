/**
 * A valid request for every operation of the document, about things that exist: the starting point
 * of everything that changes one thing about it.
 */
import type { Schema } from '../../helpers/json-schema.ts';
import type { Declared } from '../../helpers/openapi.ts';
import type { Server } from '../../helpers/server.ts';
import {
	createGroup,
	createKey,
	createManagementKey,
	createPlan,
	createTenant,
	type TestTenant,
} from '../../helpers/tenants.ts';

/** What requests are about. */
export interface Scene {
	tenant: TestTenant;
	room_id: string;
	user_id: string;
	key_id: string;
	plan_id: string;
	/** Of management credentials that nobody uses. */
	key: string;
	/** A tenant to be changed and suspended, which the others must not be. */
	spare_tenant_id: string;
}

export interface ValidRequest {
	operation: string;
	method: string;
	/** With the names of its parameters, as the document has it. */
	template: string;
	params: Record<string, string>;
	headers: Record<string, string>;
	/** What must stand in its query. */
	query: Record<string, string>;
	/** Undefined for an operation without a body. */
	body: Record<string, unknown> | undefined;
	/** The schemas of the fields of its body, or of its query. */
	fields: Record<string, Schema>;
	required: readonly string[];
}

/** A room of alice's with bob in it, and a key of the tenant that nobody uses. */
export async function createScene(server: Server): Promise<Scene> {
	const own = await createTenant(server, { name: 'Scene' });
	const { room_id } = await createGroup(own, 'alice', ['bob']);
	const { key_id } = await createKey(own, ['send']);
	const { plan_id } = await createPlan(server);
	const { key } = await createManagementKey(server, plan_id);
	const { tenant_id: spare_tenant_id } = await createTenant(server, { name: 'Spare' });
	return { tenant: own, room_id, user_id: 'bob', key_id, plan_id, key, spare_tenant_id };
}

/** The valid request for this operation. */
export function validRequest({ method, path, operation }: Declared, scene: Scene): ValidRequest {
	const { tenant, room_id, spare_tenant_id, ...others } = scene;
	const isSpares = ABOUT_SPARE.includes(operation.operationId);
	const tenant_id = isSpares ? spare_tenant_id : tenant.tenant_id;
	const subscription_id = `sub_${'0'.repeat(26)}`;
	const ids: Record<string, string> = { tenant_id, room_id, subscription_id, ...others };
	const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
	const content = operation.requestBody?.content['application/json'];
	const example = content?.example as Record<string, unknown> | undefined;
	const query = (operation.parameters ?? []).filter((parameter) => parameter.in === 'query');
	const ofBody = (content?.schema ?? {}) as BodySchema;
	return {
		operation: operation.operationId,
		method,
		template: path,
		params: Object.fromEntries(names.map((name) => [name, ids[name] ?? ''])),
		query: Object.fromEntries(
			query.filter(({ required }) => required).map(({ name }) => [name, ids[name] ?? '']),
		),
		headers: credentialsFor(operation, tenant),
		body: example && withOwnIds(example, ids),
		fields:
			content === undefined
				? Object.fromEntries(query.map(({ name, schema }) => [name, schema ?? {}]))
				: (ofBody.properties ?? {}),
		required: ofBody.required ?? [],
	};
}

/** The ids of the scene in the place of the example's. */
const withOwnIds = (example: Record<string, unknown>, ids: Record<string, string>) =>
	Object.fromEntries(Object.entries(example).map(([name, value]) => [name, ids[name] ?? value]));

interface BodySchema {
	properties?: Record<string, Schema>;
	required?: string[];
}

/** The path with its parameters filled in, each as it stands. */
export const pathOf = ({ template, params }: ValidRequest): string =>
	template.replace(/\{(\w+)\}/g, (_, name: string) => params[name] ?? '');

/** The path with its query, in which this parameter is left for the test to write. */
export const pathWithQuery = (request: ValidRequest, field: string): string => {
	const others = Object.entries(request.query).filter(([name]) => name !== field);
	return `${pathOf(request)}?${others.map(([name, value]) => `${name}=${value}&`).join('')}`;
};

/** Operations that may leave a tenant of no use to the others. */
const ABOUT_SPARE =
	'tenants.update tenants.merge tenants.suspend tenants.resume tenants.delete tenants.restore'.split(
		' ',
	);

/** Operations for the tenant itself, which refuse a user. */
const TENANTS_OWN =
	`events.list users.get users.update users.deactivate users.reactivate users.revoke
	tokens.create usage.get messages.list_all dead_letters.list settings.get settings.update
	api_keys.create api_keys.list api_keys.update api_keys.rotate api_keys.revoke`.split(/\s+/);

export const isTenantsOwn = ({ operationId }: Declared['operation']): boolean =>
	TENANTS_OWN.includes(operationId);

function credentialsFor(
	operation: Declared['operation'],
	{ server, api_key }: TestTenant,
): Record<string, string> {
	const [first] = operation.security ?? [];
	if (first === undefined) return {};
	if ('MasterKey' in first) return { 'X-Master-Key': server.masterKey };
	if (isTenantsOwn(operation)) return { 'X-API-Key': api_key };
	return { 'X-API-Key': api_key, 'X-User-Id': 'alice' };
}
