/**
 * Every frame type × every way in which a caller with an open socket ends to be one: deactivated,
 * revoked, or with its key. Who gets no socket at all stands in the matrix, at connections.open; here
 * the socket is there, and what is sent on it once the end was answered has no effect.
 */
import { beforeAll, describe, expect, test } from 'bun:test';
import { bodyOf } from '../../helpers/http.ts';
import { openSocket, type Socket, type SocketOptions, typesOf } from '../../helpers/socket.ts';
import { createKey, operator } from '../../helpers/tenants.ts';
import { useServer } from '../../helpers/use-server.ts';
import { within } from '../../helpers/wait.ts';
import { FRAME_FIELDS, frameFor, type Subject } from './requests.ts';
import { createPlace, createTwins, snapshotOf, type Twins } from './twins.ts';

const used = useServer({
	WS_FRAMES_PER_SECOND: '0',
	DEFAULT_RATE_LIMIT: '0',
	WS_MAX_CONNECTIONS_PER_USER: '0',
});

/** A member of the own room, and an admin of its twin. */
const USER = 'mia';
const CLOSES_WITHIN_MS = 1_000;

let twins: Twins;
beforeAll(async () => {
	twins = await createTwins(used.server);
});

/** A way to open sockets as the user, and to end them. */
interface Ended {
	code: number;
	/** What to open the next socket with. */
	open(): Promise<SocketOptions>;
	/** Resolves when the end was answered. */
	end(): Promise<void>;
	/** Makes the user what it was. */
	restore?(): Promise<void>;
}

const tenant = () => twins.own.tenant;
const post = async (path: string) => void bodyOf(await tenant().as().post(path), 200);
const withKey = async () => ({ key: tenant().api_key, user: USER });

/** With a key that is revoked in the end. `open` says what a socket is opened with by its grace. */
async function byKey(open: (key: string) => Promise<SocketOptions>): Promise<Ended> {
	const { api_key, key_id } = await createKey(tenant(), ['*']);
	const path = `/admin/tenants/${tenant().tenant_id}/api-keys/${key_id}`;
	return {
		code: 4501,
		open: () => open(api_key),
		end: async () => void bodyOf(await operator(used.server).delete(path), 200),
	};
}

async function mint(path: string, key: string): Promise<string> {
	const headers = { 'X-API-Key': key, ...(path === '/ws/token' ? { 'X-User-Id': USER } : {}) };
	const answer = await fetch(used.server.url + path, { method: 'POST', headers });
	return ((await answer.json()) as { token: string }).token;
}

const bearer = async (key: string) => ({
	headers: { Authorization: `Bearer ${await mint(`/users/${USER}/tokens`, key)}` },
});

const ENDS: Readonly<Record<string, () => Promise<Ended>>> = {
	'a user who was deactivated': async () => ({
		code: 4507,
		open: withKey,
		end: () => post(`/users/${USER}/deactivate`),
		restore: () => post(`/users/${USER}/reactivate`),
	}),
	'a user who was revoked': async () => ({
		code: 4501,
		open: withKey,
		end: () => post(`/users/${USER}/revoke`),
	}),
	'a user with a token, who was revoked': async () => ({
		code: 4501,
		open: () => bearer(tenant().api_key),
		end: () => post(`/users/${USER}/revoke`),
	}),
	'a key that was revoked': () => byKey(async (key) => ({ key, user: USER })),
	'a user token whose key was revoked': () => byKey(bearer),
	'a ticket whose key was revoked': () =>
		byKey(async (key) => ({ query: `token=${await mint('/ws/token', key)}` })),
};

/** Everything that a socket was told but who is there: of that it is told at any time. */
const toldOf = (socket: Socket) => typesOf(socket);

describe('a frame that comes after the end', () => {
	for (const [what, createEnd] of Object.entries(ENDS)) {
		test(`of ${what} has no effect, whatever its type, and the socket closes within a second`, async () => {
			const place = await createPlace(twins);
			// No frame is about a key.
			const none = { own: '', foreign: '' };
			const subject: Subject = { twins, place, keys: none, managementKeys: none };
			const { code, open, end, restore } = await createEnd();
			const types = Object.keys(FRAME_FIELDS);
			const sockets = await Promise.all(
				types.map(async (type) => [type, await openSocket(used.server, await open())] as const),
			);
			const witness = await tenant().socket(twins.own.cast.owner);
			const twin = await twins.foreign.tenant.socket(USER);
			const snapshots = async () => [
				await snapshotOf(twins.own, place.own),
				await snapshotOf(twins.foreign, place.foreign),
			];
			const before = await snapshots();

			await end();
			for (const [type, socket] of sockets) {
				socket.send({ ...frameFor(type, 'own', subject), request_id: 'late' });
			}
			const closed = sockets.map(async ([type, socket]) => ({
				type,
				code: (await within(socket.closed, `${type}: the close`, CLOSES_WITHIN_MS)).code,
			}));

			expect(await Promise.all(closed)).toEqual(types.map((type) => ({ type, code })));
			for (const [type, socket] of sockets) {
				const answers = socket.frames.filter((frame) => frame.type === 'reply');
				expect({ type, answers }).toEqual({ type, answers: [] });
			}
			await Promise.all([witness.settle(), twin.settle()]);
			expect(await snapshots()).toEqual(before);
			expect(toldOf(witness)).toEqual(['connected', 'pong']);
			// Who has the same name in the other tenant notices nothing.
			expect(toldOf(twin)).toEqual(['connected', 'pong']);
			await Promise.all([witness.close(), twin.close()]);
			await restore?.();
		});
	}
});
