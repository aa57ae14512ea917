declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

export type TenantId = Brand<string, 'TenantId'>;
export type RoomId = Brand<string, 'RoomId'>;
export type MessageId = Brand<string, 'MessageId'>;
export type KeyId = Brand<string, 'KeyId'>;
export type ConnectionId = Brand<string, 'ConnectionId'>;
/** A tenant's own string for one of its users; see `USER_ID`. */
export type UserId = Brand<string, 'UserId'>;
/** A tenant's number in this database. Never on the wire, never reused. @see docs/adr/0002 */
export type TenantNo = Brand<number, 'TenantNo'>;
/** A room's number within its tenant. Never on the wire, never reused. @see docs/adr/0002 */
export type RoomNo = Brand<number, 'RoomNo'>;

interface IdKinds {
	tenant: TenantId;
	room: RoomId;
	msg: MessageId;
	key: KeyId;
	conn: ConnectionId;
	req: string;
}

/** What a user id may be. Anything else is refused, never cleaned up. */
export const USER_ID = /^[A-Za-z0-9._:@|-]{1,128}$/;

/** Makes the ids of new things: a prefix, `_`, and 26 characters. They identify; they never order. */
export type Ids = <Kind extends keyof IdKinds>(kind: Kind) => IdKinds[Kind];

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/**
 * The 26 characters of Crockford base32 of 16 bytes, most significant first, as TypeID writes them.
 *
 * @see https://github.com/jetify-com/typeid/tree/main/spec
 */
export function encodeUuid(bytes: Uint8Array): string {
	// 26 × 5 bits hold 130: the first character carries only the three highest bits.
	let text = '';
	let buffer = 0;
	let bits = 2;
	for (let index = 0; index < 16; index++) {
		buffer = (buffer << 8) | (bytes[index] as number);
		bits += 8;
		while (bits >= 5) {
			bits -= 5;
			text += ALPHABET[(buffer >> bits) & 31];
		}
		buffer &= (1 << bits) - 1;
	}
	return text;
}

/** Ids over a source of UUIDv7 bytes. */
export function createIds(uuidv7: () => Uint8Array = () => Bun.randomUUIDv7('buffer')): Ids {
	return <Kind extends keyof IdKinds>(kind: Kind) =>
		`${kind}_${encodeUuid(uuidv7())}` as IdKinds[Kind];
}
