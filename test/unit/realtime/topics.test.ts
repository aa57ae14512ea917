import { describe, expect, test } from 'bun:test';
import { roomStream, userStream } from '../../../src/core/event.ts';
import type { RoomId, RoomNo, TenantId, UserId } from '../../../src/core/ids.ts';
import { namedStream, topicOf } from '../../../src/realtime/topics.ts';

const one = 'tenant_1' as TenantId;
const other = 'tenant_2' as TenantId;

describe('topics', () => {
	test('are apart for a room, a user and a notification topic of the same name', () => {
		const id = 'room_01hf';
		const topics = [
			topicOf(one, roomStream({ room: 1 as RoomNo, room_id: id as RoomId })),
			topicOf(one, userStream(id as UserId)),
			topicOf(one, namedStream(id)),
		];

		expect(new Set(topics).size).toBe(3);
	});

	test('are apart for two tenants, whatever they call their users', () => {
		const names = ['alice', 'u:alice', 'tenant_2', 'a|b', '..', '__proto__'] as UserId[];

		for (const name of names) {
			for (const rival of names) {
				expect(topicOf(one, userStream(name))).not.toBe(topicOf(other, userStream(rival)));
			}
		}
	});

	test('have the names that the rulings give them', () => {
		const room = roomStream({ room: 1 as RoomNo, room_id: 'room_01hf' as RoomId });

		expect(topicOf(one, room)).toBe('tenant_1/r/room_01hf');
		expect(topicOf(one, userStream('alice' as UserId))).toBe('tenant_1/u/alice');
		expect(topicOf(one, namedStream('orders'))).toBe('tenant_1/n/orders');
	});
});
