/** Secrets that a server is shown, good and bad, in every place where one can stand: none is in its log. */
import { expect, test } from 'bun:test';
import { bodyOf, httpClient } from '../helpers/http.ts';
import { exchange, requestText, upgradeAnswer } from '../helpers/raw-http.ts';
import { openSocket } from '../helpers/socket.ts';
import { createTenant, createTicket, createToken, withToken } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';

const used = useServer({ LOG_LEVEL: 'debug' });

test('no key, token or ticket is in the log, the metrics or an error, at the most talkative level', async () => {
	const { server } = used;
	const tenant = await createTenant(server);
	const token = await createToken(tenant, 'alice');
	const tickets = await Promise.all([1, 2, 3, 4].map(() => createTicket(tenant, 'alice')));
	const [opening = '', refused = '', misplaced = '', malformed = ''] = tickets;
	const secrets = [server.masterKey, tenant.api_key, token, ...tickets];
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
