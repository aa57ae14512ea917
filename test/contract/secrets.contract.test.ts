/** Secrets that a server is shown, good and bad, in every place where one can stand: none is in its log. */
import { expect, test } from 'bun:test';
import { bodyOf, httpClient } from '../helpers/http.ts';
import { exchange, requestText, upgradeAnswer } from '../helpers/raw-http.ts';
import { openSocket } from '../helpers/socket.ts';
import {
	createManagementKey,
	createPlan,
	createTenant,
	createTicket,
	createToken,
	withToken,
} from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';

const used = useServer({ LOG_LEVEL: 'debug' });

test('no key, token or ticket is in the log, the metrics or an error, at the most talkative level', async () => {
	const { server } = used;
	const tenant = await createTenant(server);
	const token = await createToken(tenant, 'alice');
	const tickets = await Promise.all([1, 2, 3, 4].map(() => createTicket(tenant, 'alice')));
	const [opening = '', refused = '', misplaced = '', malformed = ''] = tickets;
	const { plan_id } = await createPlan(server);
	const { secret: management } = await createManagementKey(server, plan_id);
	const secrets = [server.masterKey, management, tenant.api_key, token, ...tickets];
	const errors: string[] = [];

	const socket = await openSocket(server, { query: `token=${opening}` });
	socket.send(`{"type":"${token}","request_id":"1"}`);
	socket.send({ type: 'ping', [token]: tenant.api_key });
	await socket.settle();
	await socket.close();
	const upgrades = [
		await upgradeAnswer(server, {}, `/ws?token=${opening}`),
		await upgradeAnswer(server, { Origin: 'https://evil.example' }, `/ws?token=${refused}`),
		await upgradeAnswer(server, { 'X-API-Key': misplaced }, `/ws?token=${token}`),
		await upgradeAnswer(server, {}, `/ws?token=${malformed}&token=${malformed}`),
		await exchange(server, requestText(server, `GET /nowhere?token=${misplaced}`)),
		await exchange(server, requestText(server, `POST /ws?token=${misplaced}`)),
		await exchange(server, requestText(server, `GET /ws?token=${tickets[2]}%`)),
	];
	for (const headers of [
		{ Authorization: `Bearer ${token}x` },
		{ Authorization: `Basic ${token}` },
		{ 'X-API-Key': token },
		{ 'X-Master-Key': token },
		{ 'X-API-Key': `${tenant.api_key}x` },
		{ 'X-API-Key': tenant.api_key, 'X-User-Id': `${token} ${token}` },
	]) {
		const answer = await httpClient(server, { headers }).get('/rooms');
		errors.push(answer.text);
	}
	const client = withToken(server, token);
	errors.push((await client.post('/rooms', { type: token })).text);
	errors.push((await client.get(`/rooms/${token}/messages`)).text);
	bodyOf(await client.get('/rooms'), 200);
	bodyOf(await tenant.as().post('/users/alice/revoke'), 200);
	errors.push((await client.get('/rooms')).text, ...upgrades.map(({ text }) => text));

	// In the place of a request's name, whole, cut, and as a part: sent back to nobody, and logged nowhere.
	for (const secret of [tenant.api_key, token, ...tickets, server.masterKey, management]) {
		for (const named of [secret, secret.slice(0, 40), `trace.${secret}`, `x${secret}`]) {
			const headers = { 'X-Request-Id': named };
			for (const path of ['/rooms', '/ws', '/nowhere', '/swagger', '/livez']) {
				const answer = await tenant.as('alice').get(path, headers);
				expect(answer.headers.get('X-Request-Id')).toMatch(/^req_/);
				if (path !== '/swagger') errors.push(answer.text);
			}
		}
	}

	const metrics = await httpClient(server, { master: server.masterKey }).get('/metrics');
	const log = JSON.stringify(server.log());
	expect(upgrades.map(({ status }) => status).every((status) => status >= 400)).toBeTrue();
	// What is looked through is what was written meanwhile.
	for (const said of ['tickets.create', 'tokens.create', 'Invalid token', 'Tenant validated']) {
		expect(log).toContain(said);
	}
	for (const secret of secrets) {
		// Its secret part: also where it would be cut, or its public part shown.
		const part = secret.slice(15, 35);
		expect(part).toHaveLength(20);
		for (const text of [log, server.stderr(), metrics.text, ...errors]) {
			expect(text).not.toContain(part);
		}
	}
});

test('a request keeps the name that it brought, though a word of it ends like the name of a secret', async () => {
	const tenant = await createTenant(used.server);

	const trace = 'f'.repeat(32);
	for (const name of ['task_4711', 'a-b.c_d', 'sk', 'risk_', 'aut_12', 'SK_1', trace]) {
		const answer = await tenant.as('alice').get('/rooms', { 'X-Request-Id': name });
		expect(answer.headers.get('X-Request-Id')).toBe(name);
	}
	for (const name of ['sk_', 'ut_1', 'wst_1', 'x-sk_1', 'x_ut_1', 'x'.repeat(33), 'a b']) {
		const answer = await tenant.as('alice').get('/rooms', { 'X-Request-Id': name });
		expect(answer.headers.get('X-Request-Id')).toMatch(/^req_/);
	}
});
