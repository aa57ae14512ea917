declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

export type TenantId = Brand<string, 'TenantId'>;
export type RoomId = Brand<string, 'RoomId'>;
export type MessageId = Brand<string, 'MessageId'>;
export type KeyId = Brand<string, 'KeyId'>;
/** A plan on the wire. */
export type PlanId = Brand<string, 'PlanId'>;
export type NotificationId = Brand<string, 'NotificationId'>;
export type SubscriptionId = Brand<string, 'SubscriptionId'>;
export type ConnectionId = Brand<string, 'ConnectionId'>;
/** A tenant's own string for one of its users; see `USER_ID`. */
export type UserId = Brand<string, 'UserId'>;
/** A tenant's number in this database. Never on the wire, never reused. @see docs/adr/0002 */
export type TenantNo = Brand<number, 'TenantNo'>;
/** A plan's number in this database. Never on the wire, never reused. */
export type PlanNo = Brand<number, 'PlanNo'>;
/** A room's number within its tenant. Never on the wire, never reused. @see docs/adr/0002 */
export type RoomNo = Brand<number, 'RoomNo'>;

interface IdKinds {
	tenant: TenantId;
	room: RoomId;
	msg: MessageId;
	key: KeyId;
	plan: PlanId;
	notif: NotificationId;
	sub: SubscriptionId;
	conn: ConnectionId;
	req: string;
}

/** What a user id may be. Anything else is refused, never cleaned up. */
export const USER_ID = /^[A-Za-z0-9._:@|-]{1,128}$/;

/** Makes the ids of new things: a prefix, `_`, and 26 characters. They identify; they never order. */
export type Ids = <Kind extends keyof IdKinds>(kind: Kind) => IdKinds[Kind];

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/** Longer than any prefix with its `_` and the 26 characters. */
const text = Buffer.alloc(40);

/**
 * The 26 characters of Crockford base32 of 16 bytes, most significant first, as TypeID writes them,
 * behind what stands before them.
 *
 * Written as bytes: a string that grows by a character at a time is 26 strings until it is read, and
 * an id is made for every request.
 *
 * @see https://github.com/jetify-com/typeid/tree/main/spec
 */
export function encodeUuid(bytes: Uint8Array, before = ''): string {
	let length = text.write(before, 'latin1');
	// 26 × 5 bits hold 130: the first character carries only the three highest bits.
	let buffer = 0;
	let bits = 2;
	for (let index = 0; index < 16; index++) {
		buffer = (buffer << 8) | (bytes[index] as number);
		bits += 8;
		while (bits >= 5) {
			bits -= 5;
			text[length++] = ALPHABET.charCodeAt((buffer >> bits) & 31);
		}
		buffer &= (1 << bits) - 1;
	}
	return text.toString('latin1', 0, length);
}

/** Ids over a source of UUIDv7 bytes. */
export function createIds(uuidv7: () => Uint8Array = () => Bun.randomUUIDv7('buffer')): Ids {
	return <Kind extends keyof IdKinds>(kind: Kind) =>
		encodeUuid(uuidv7(), `${kind}_`) as IdKinds[Kind];
}
