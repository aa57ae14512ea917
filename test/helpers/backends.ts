/** Sockets of a tenant itself, and what they are held against. */
import { bodyOf } from './http.ts';
import type { Server } from './server.ts';
import { openSocket, type Socket } from './socket.ts';
import type { TestTenant } from './tenants.ts';
import type { EventsPage, Frame } from './wire.ts';

/** A socket of the tenant itself, from a cursor where one is given. */
export const backendOf = (
	{ api_key }: Pick<TestTenant, 'api_key'>,
	server: Pick<Server, 'url'>,
	cursor?: unknown,
) =>
	openSocket(server, {
		key: api_key,
		...(cursor === undefined ? {} : { query: `cursor=${cursor}` }),
	});

/** The frames of the log, without what a socket is told of itself. */
export const storedOf = ({ frames }: Socket) =>
	frames.filter(({ type, cursor }) => cursor !== undefined && !OWN.has(type));
const OWN = new Set(['connected', 'replay.done']);

/** The whole log after a cursor, as the backend reads it over REST. */
export async function logOf(tenant: TestTenant, cursor?: unknown): Promise<Frame[]> {
	const events: Frame[] = [];
	for (let after = cursor; ; ) {
		const query = after === undefined ? 'limit=100' : `limit=100&after=${after}`;
		const page = bodyOf(await tenant.as().get<EventsPage>(`/events?${query}`), 200);
		events.push(...(page.events as Frame[]));
		if (page.next_cursor === null) return events;
		after = page.next_cursor;
	}
}
