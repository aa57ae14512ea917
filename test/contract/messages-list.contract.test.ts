import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf } from '../helpers/http.ts';
import { createGroup, createTenant, sendMessage, type TestTenant } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import type { MessagesPage } from '../helpers/wire.ts';

const used = useServer();

describe('GET /rooms/{room_id}/messages', () => {
	for (const [query, seqs, has_more] of [
		['', range(1, 12), false],
		['limit=5', range(8, 12), true],
		['limit=12', range(1, 12), false],
		['after_seq=0&limit=5', range(1, 5), true],
		['after_seq=5&limit=5', range(6, 10), true],
		['after_seq=7&limit=5', range(8, 12), false],
		['after_seq=10', range(11, 12), false],
		['after_seq=12', [], false],
		['after_seq=99', [], false],
		['before_seq=6', range(1, 5), false],
		['before_seq=6&limit=5', range(1, 5), false],
		['before_seq=6&limit=3', range(3, 5), true],
		['before_seq=1', [], false],
		['before_seq=99&limit=2', range(11, 12), true],
		['after_seq=3&before_seq=9', range(4, 8), false],
	] as const) {
		test(`?${query || '(nothing)'} of twelve gives ${seqs.join(' ') || 'none'}, ${has_more ? 'and more' : 'and that is all'}`, async () => {
			const { tenant, room_id } = await roomOfTwelve();
			const page = bodyOf(
				await tenant.as('bob').get<MessagesPage>(`/rooms/${room_id}/messages?${query}`),
				200,
			);

			expect(page.messages.map(({ seq }) => seq)).toEqual([...seqs]);
			expect(page.has_more).toBe(has_more);
			for (const { seq, content } of page.messages) expect(content).toBe(`message ${seq}`);
		});
	}

	test('carries as_of, which is the cursor of the last event it holds', async () => {
		const { tenant, room_id } = await roomOfTwelve();
		const last = await sendMessage(tenant, 'alice', room_id);
		const answer = await tenant.as('bob').get<MessagesPage>(`/rooms/${room_id}/messages`);

		expect(bodyOf(answer, 200).as_of).toBe(last.cursor);
		expect(bodyOf(answer, 200).messages.at(-1)).toEqual(last);
	});

	for (const [query, field] of [
		['limit=0', 'limit'],
		['limit=101', 'limit'],
		['after_seq=-1', 'after_seq'],
		['after_seq=x', 'after_seq'],
		['after_seq=1.5', 'after_seq'],
		['after_seq=0x10', 'after_seq'],
		['after_seq=99999999999999999999', 'after_seq'],
		['before_seq=0', 'before_seq'],
		['before_seq=', 'before_seq'],
		['cursor=abc', 'cursor'],
		['since=3', 'since'],
	] as const) {
		test(`refuses ?${query} by name`, async () => {
			const tenant = await createTenant(used.server);
			const { room_id } = await createGroup(tenant, 'alice');
			const answer = await tenant.as('alice').get(`/rooms/${room_id}/messages?${query}`);

			expect(answer.status).toBe(400);
			expect(errorOf(answer)).toMatchObject({ code: 'VALIDATION_ERROR', field });
		});
	}

	test('a query parameter given twice is refused, not guessed at', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice');
		const answer = await tenant.as('alice').get(`/rooms/${room_id}/messages?limit=1&limit=2`);

		expect(answer.status).toBe(400);
		expect(errorOf(answer)).toMatchObject({ code: 'VALIDATION_ERROR', field: 'limit' });
	});

	test('is for members and for the tenant; for others the room does not exist', async () => {
		const { tenant, room_id } = await roomOfTwelve();
		const path = `/rooms/${room_id}/messages`;

		expect((await tenant.as().get(path)).status).toBe(200);
		expect((await tenant.as('bob').get(path)).status).toBe(200);
		const hidden = await tenant.as('mallory').get(path);
		expect(hidden.status).toBe(404);
		expect(hidden.text).not.toContain('message 1');
	});
});

async function roomOfTwelve(): Promise<{ tenant: TestTenant; room_id: string }> {
	const tenant = await createTenant(used.server);
	const { room_id } = await createGroup(tenant, 'alice', ['bob']);
	for (const seq of range(1, 12)) await sendMessage(tenant, 'alice', room_id, `message ${seq}`);
	return { tenant, room_id };
}

function range(first: number, last: number): number[] {
	return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
