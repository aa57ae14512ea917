/** The things that most tests need before they begin. Each test has a tenant of its own. */
import { bodyOf, type Credentials, type HttpClient, httpClient } from './http.ts';
import type { Server } from './server.ts';
import { openSocket, type Socket, type SocketOptions } from './socket.ts';
import type { ApiKey, ManagementKey, Message, Plan, Room, Tenant } from './wire.ts';

/** A server that tenants can be made on. */
export type Operated = Pick<Server, 'url' | 'masterKey'>;

/** A tenant, its first key, and clients that act in it. */
export interface TestTenant {
	readonly server: Operated;
	readonly tenant_id: string;
	readonly api_key: string;
	/** A client with the first key, as this user; without one, as the tenant itself. */
	as(user?: string): HttpClient;
	/** A socket with the first key, as this user. */
	socket(user: string, options?: SocketOptions): Promise<Socket>;
}

/** The operator's client. */
export const operator = (server: Operated): HttpClient =>
	httpClient(server, { master: server.masterKey });

/** A new tenant. */
export async function createTenant(
	server: Operated,
	body: Record<string, unknown> = {},
): Promise<TestTenant> {
	const answer = await operator(server).post<Tenant>('/admin/tenants', { name: 'Acme', ...body });
	const { tenant_id, api_key } = bodyOf(answer, 201);
	if (api_key === undefined) throw new Error('A new tenant was told no key');
	return tenantOf(server, { tenant_id, api_key });
}

/** A tenant that is there already. */
export const tenantOf = (
	server: Operated,
	{ tenant_id, api_key }: { tenant_id: string; api_key: string },
): TestTenant => ({
	server,
	tenant_id,
	api_key,
	as: (user) => httpClient(server, credentialsOf(api_key, user)),
	socket: (user, options = {}) => openSocket(server, { key: api_key, user, ...options }),
});

/** A new plan. */
export async function createPlan(
	server: Operated,
	body: Record<string, unknown> = {},
): Promise<Plan> {
	return bodyOf(await operator(server).post<Plan>('/admin/plans', { name: 'Plan', ...body }), 201);
}

/** Management credentials of a plan, as they are sent. */
export async function createManagementKey(
	server: Operated,
	plan_id: string,
): Promise<{ key: string; secret: string }> {
	const path = `/admin/plans/${plan_id}/management-keys`;
	const { key, secret = '' } = bodyOf(await operator(server).post<ManagementKey>(path), 201);
	return { key, secret };
}

/** A key of the tenant with these permissions; its secret is in `api_key`. */
export async function createKey(
	tenant: TestTenant,
	permissions: readonly string[],
	rest: Record<string, unknown> = {},
): Promise<ApiKey & { api_key: string }> {
	const answer = await operator(tenant.server).post<ApiKey>(
		`/admin/tenants/${tenant.tenant_id}/api-keys`,
		{ name: 'test', permissions, ...rest },
	);
	const key = bodyOf(answer, 201);
	if (key.api_key === undefined) throw new Error('A new key was not told');
	return { ...key, api_key: key.api_key };
}

/** A token of the tenant's user. */
export async function createToken(
	tenant: TestTenant,
	user: string,
	body: Record<string, unknown> = {},
): Promise<string> {
	const answer = await tenant.as().post<{ token: string }>(`/users/${user}/tokens`, body);
	return bodyOf(answer, 201).token;
}

/** A ticket that opens a socket of the user. */
export async function createTicket(tenant: TestTenant, user: string): Promise<string> {
	const answer = await tenant.as(user).post<{ token: string }>('/ws/token');
	return bodyOf(answer, 200).token;
}

/** A client that shows a user's token, as a page or an app does. */
export const withToken = (server: Operated, token: string): HttpClient =>
	httpClient(server, { headers: { Authorization: `Bearer ${token}` } });

/** A group that `owner` made, with these members beside. */
export async function createGroup(
	tenant: TestTenant,
	owner: string,
	members: readonly string[] = [],
	rest: Record<string, unknown> = {},
): Promise<Room> {
	const answer = await tenant
		.as(owner)
		.post<Room>('/rooms', { type: 'group', name: 'Group', members, ...rest });
	return bodyOf(answer, 201);
}

/** Sends a message as `user`; without one, as the tenant. */
export async function sendMessage(
	tenant: TestTenant,
	user: string | undefined,
	room_id: string,
	content = 'hello',
): Promise<Message> {
	const answer = await tenant.as(user).post<Message>(`/rooms/${room_id}/messages`, { content });
	return bodyOf(answer, 201);
}

const credentialsOf = (key: string, user: string | undefined): Credentials =>
	user === undefined ? { key } : { key, user };
