/** What sockets are told of who is there. */
import type { Socket } from './socket.ts';
import type { TestTenant } from './tenants.ts';
import { eventually } from './wait.ts';

export interface Told {
	user_id: string;
	status: string;
	last_seen_at?: string;
}

export const heardBy = (socket: Socket): string[] =>
	socket.all<Told>('presence.update').map(({ user_id, status }) => `${user_id} ${status}`);

export async function queryPresence(socket: Socket, ...user_ids: string[]): Promise<Told[]> {
	const reply = await socket.request<{ data: { presences: Told[] } }>({
		type: 'presence.query',
		user_ids,
	});
	return reply.data.presences;
}

/** Returns once the server tells of this user what happened before. */
export async function untilTold(socket: Socket, told: string): Promise<void> {
	await eventually(() => heardBy(socket).includes(told), 12_000, `"${told}"`);
}

/** A socket of each. */
export const openAll = (tenant: TestTenant, ...users: string[]): Promise<Socket[]> =>
	Promise.all(users.map((user) => tenant.socket(user)));
