import { describe, expect, test } from 'bun:test';
import { Type } from '@sinclair/typebox';
import { defineEvent, eventOf, roomStream, userStream } from '../../../src/core/event.ts';
import type { RoomId, RoomNo, UserId } from '../../../src/core/ids.ts';

const renamed = defineEvent({
	type: 'room.renamed',
	summary: 'A room was renamed',
	data: Type.Object({ name: Type.String({ maxLength: 10 }) }),
	example: { name: 'general' },
});
const stream = userStream('alice' as UserId);

describe('event', () => {
	test('goes out in a frame named after its type, unless the contract names it otherwise', () => {
		const plain = eventOf(renamed, stream, { name: 'general' });
		const framed = eventOf({ ...renamed, frame: 'room' }, stream, { name: 'general' });

		expect(plain).toEqual({
			type: 'room.renamed',
			frame: 'room.renamed',
			stream,
			data: { name: 'general' },
		});
		expect(framed).toMatchObject({ type: 'room.renamed', frame: 'room' });
	});

	test('carries what else it is told: further streams, and where its data lives', () => {
		const event = eventOf(renamed, stream, { name: 'general' }, { also: [stream], ref: 7 });

		expect(event).toMatchObject({ also: [stream], ref: 7 });
	});
});

describe('stream', () => {
	test('of a room has a short key for the log and the public id in its topic', () => {
		const room = roomStream({ room: 12 as RoomNo, room_id: 'room_01hf' as RoomId });

		expect(room).toEqual({ key: 'r/12', topic: 'r/room_01hf' });
	});

	test('of a user whose id looks like a room is not that room', () => {
		const room = roomStream({ room: 12 as RoomNo, room_id: 'room_01hf' as RoomId });

		for (const id of ['12', 'room_01hf', 'r|12'] as UserId[]) {
			expect(userStream(id).key).not.toBe(room.key);
			expect(userStream(id).topic).not.toBe(room.topic);
		}
	});
});
