/** Two tenants with the same users, and rooms of the same numbers: whose list holds what of whom. */
import { beforeAll, expect, test } from 'bun:test';
import { bodyOf, errorOf } from '../../helpers/http.ts';
import {
	createGroup,
	createTenant,
	operator,
	sendMessage,
	type TestTenant,
} from '../../helpers/tenants.ts';
import { useServer } from '../../helpers/use-server.ts';

const used = useServer({ DEFAULT_RATE_LIMIT: '0' });

let foreign: TestTenant;
let own: TestTenant;
beforeAll(async () => {
	foreign = await createSide('BRAVO', ['ann', 'bob', 'cat']);
	own = await createSide('ALPHA', ['ann', 'bob']);
});

/** A user, a room and a message of each name, all marked. */
async function createSide(marker: string, users: readonly string[]): Promise<TestTenant> {
	const tenant = await createTenant(used.server, { name: marker });
	for (const user of users) {
		bodyOf(await tenant.as().put(`/users/${user}`, { name: `${marker} ${user}` }), 200);
		const { room_id } = await createGroup(tenant, user, [], { name: `${marker} ${user}` });
		await sendMessage(tenant, user, room_id, `${marker} ${user}`);
	}
	return tenant;
}

type Named = { name?: string; content?: string };

const readOf = (tenant: TestTenant, what: string, query = '') =>
	operator(used.server).get<Record<string, Named[]>>(
		`/admin/tenants/${tenant.tenant_id}/${what}?limit=100${query}`,
	);

for (const what of ['rooms', 'messages', 'users']) {
	test(`the operator's list of ${what} holds those of the tenant that is named, each once`, async () => {
		const shown = bodyOf(await readOf(own, what), 200)[what] ?? [];

		const texts = shown.map(({ name, content }) => name ?? content ?? '');
		expect(texts.sort()).toEqual(['ALPHA ann', 'ALPHA bob']);
		expect(JSON.stringify(shown)).not.toContain('BRAVO');
	});
}

test('the list of all messages holds those of the tenant that asks, each once', async () => {
	const { messages = [] } = bodyOf(
		await own.as().get<Record<string, Named[]>>('/messages?limit=100'),
		200,
	);

	expect(messages.map(({ content }) => content)).toEqual(['ALPHA bob', 'ALPHA ann']);
});

test('a cursor from the pages of one tenant is none in those of another', async () => {
	for (const what of ['rooms', 'messages']) {
		const path = `/admin/tenants/${foreign.tenant_id}/${what}?limit=1`;
		const { next_cursor } = bodyOf(
			await operator(used.server).get<{ next_cursor: string }>(path),
			200,
		);

		const answer = await readOf(own, what, `&cursor=${next_cursor}`);

		expect({ what, status: answer.status, field: errorOf(answer).field }).toEqual({
			what,
			status: 400,
			field: 'cursor',
		});
	}
});
