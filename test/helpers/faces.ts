/**
 * The two faces of an operation that has both: one scenario, run over HTTP and over WebSocket, must
 * come out the same. What differs between them (a status, a frame) stays in here.
 */
import { type Answer, errorOf } from './http.ts';
import type { Socket } from './socket.ts';
import { createKey, type TestTenant } from './tenants.ts';
import type { Frame, Message, WireError } from './wire.ts';

/** What became of a request: what it answered, or its error. Never both. */
export type Outcome<Value> =
	| { value: Value; error?: undefined }
	| { value?: undefined; error: WireError };

export interface SendInput {
	content?: unknown;
	meta?: unknown;
	client_msg_id?: unknown;
	[field: string]: unknown;
}

/** A user with a way in. */
export interface FaceUser {
	send(room_id: string, input: SendInput): Promise<Outcome<Message>>;
	ack(room_id: string, seq: unknown): Promise<Outcome<unknown>>;
	read(room_id: string, seq: unknown): Promise<Outcome<unknown>>;
	close(): Promise<void>;
}

export interface Face {
	readonly name: 'HTTP' | 'WebSocket';
	/** The tenant's user, with the tenant's first key or one with these permissions only. */
	as(tenant: TestTenant, user: string, permissions?: readonly string[]): Promise<FaceUser>;
}

/** The value. @throws with the error when there is one. */
export function accepted<Value>(outcome: Outcome<Value>): Value {
	if (outcome.error !== undefined) throw new Error(JSON.stringify(outcome.error));
	return outcome.value;
}

/** The error. @throws with the value when it was done after all. */
export function refused(outcome: Outcome<unknown>): WireError {
	if (outcome.error === undefined) throw new Error(JSON.stringify(outcome.value));
	return outcome.error;
}

async function credentialsOf(tenant: TestTenant, permissions: readonly string[] | undefined) {
	if (permissions === undefined) return tenant;
	const { api_key } = await createKey(tenant, permissions);
	return { server: tenant.server, api_key };
}

const overHttp: Face = {
	name: 'HTTP',
	async as(tenant, user, permissions) {
		const { api_key } = await credentialsOf(tenant, permissions);
		const headers = { 'X-API-Key': api_key };
		const client = tenant.as(user);
		const post = async <Value>(path: string, body: unknown): Promise<Outcome<Value>> =>
			answered(await client.post<Value>(path, body, headers));
		return {
			send: (room_id, input) => post(`/rooms/${room_id}/messages`, input),
			ack: (room_id, seq) => post('/acks', { room_id, seq }),
			read: (room_id, seq) => post(`/rooms/${room_id}/read`, { seq }),
			close: async () => {},
		};
	},
};

function answered<Value>(answer: Answer<Value>): Outcome<Value> {
	return answer.status < 300 ? { value: answer.body } : { error: errorOf(answer) };
}

const overWebSocket: Face = {
	name: 'WebSocket',
	async as(tenant, user, permissions) {
		const { api_key } = await credentialsOf(tenant, permissions);
		const socket = await tenant.socket(user, { headers: { 'X-API-Key': api_key } });
		const ask = async <Value>(type: string, fields: object): Promise<Outcome<Value>> =>
			replied(await socket.request({ type, ...fields }));
		return {
			send: (room_id, input) => ask('send_message', { room_id, ...input }),
			ack: (room_id, seq) => ask('ack', { room_id, seq }),
			read: (room_id, seq) => ask('read', { room_id, seq }),
			close: async () => void (await closeOf(socket)),
		};
	},
};

const closeOf = (socket: Socket) => (socket.isOpen ? socket.close() : socket.closed);

function replied<Value>(frame: Frame): Outcome<Value> {
	if (frame.type === 'reply') {
		if (frame.ok !== true) throw new Error(`A reply that is not ok: ${JSON.stringify(frame)}`);
		return { value: frame.data as Value };
	}
	const { type, ...error } = frame;
	return { error: error as unknown as WireError };
}

export const FACES: readonly Face[] = [overHttp, overWebSocket];
