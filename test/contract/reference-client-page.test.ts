/** The client of examples/ as a page has it, in a browser. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { startProxy } from '../crash/chaos-proxy.ts';
import { createRandomness } from '../crash/randomness.ts';
import { CHROMIUM, CHROMIUM_FLAGS } from '../helpers/browser.ts';
import { bodyOf } from '../helpers/http.ts';
import { freePort } from '../helpers/ports.ts';
import { randomSecret, startServer } from '../helpers/server.ts';
import {
	createGroup,
	createTenant,
	createTicket,
	sendMessage,
	type TestTenant,
} from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import { eventually } from '../helpers/wait.ts';
import type { MessagesPage } from '../helpers/wire.ts';

const SOURCE = resolve(import.meta.dir, '..', '..', 'examples', 'client.ts');
const used = useServer();

/** The messages of a room as they are stored. */
async function storedIn(tenant: TestTenant, room_id: string): Promise<string[]> {
	const answer = await tenant.as('alice').get<MessagesPage>(`/rooms/${room_id}/messages`);
	return bodyOf(answer, 200).messages.map(({ seq, content }) => `${seq} ${content}`);
}

function describeBrowser(executablePath: string) {
	let browser: Browser | undefined;
	beforeAll(async () => {
		browser = await chromium.launch({ executablePath, args: [...CHROMIUM_FLAGS] });
	});
	afterAll(() => browser?.close());

	/** A page at this origin whose client, bob's, notes down what it is told. */
	async function openPage(origin: string, ticket: () => Promise<string>) {
		const page = await browser?.newPage();
		if (page === undefined) throw new Error('There is no browser');
		const log: string[] = [];
		const note = (line: string) => void log.push(line);
		await page.exposeFunction('ticket', ticket);
		await page.exposeFunction('note', note);
		await page.goto(`${origin}/health`);
		const script = new Bun.Transpiler({ loader: 'ts' }).transformSync(readFileSync(SOURCE, 'utf8'));
		await page.addScriptTag({ type: 'module', content: `${script};window.bob = ${PAGE}` });
		const told = () => log.filter((line) => line !== 'live');
		/** Resolves when it was live so many times. */
		const live = (times: number) => {
			const count = () => log.filter((line) => line === 'live').length;
			return eventually(() => count() >= times, 15_000, `the page to be live, ${times}`);
		};
		return { page, log, told, live };
	}

	test('resumes with a new ticket, has everything once, and sends', async () => {
		const proxy = await startProxy(createRandomness(3));
		proxy.aim(used.server.url);
		const origin = `http://${proxy.host}`;
		const tenant = await createTenant(used.server, { allowed_origins: [origin] });
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		const { page, log, told, live } = await openPage(origin, () => createTicket(tenant, 'bob'));

		await live(1);
		for (let n = 0; n < 3; n++) {
			await sendMessage(tenant, 'alice', room_id, `${n}`);
			proxy.cutAll();
			await sendMessage(tenant, 'alice', room_id, `${n} missed`);
			await live(n + 2);
		}
		const sent = await page.evaluate(`bob.send('${room_id}', 'from the page')`);

		const stored = await storedIn(tenant, room_id);
		await eventually(() => log.includes(String(stored.at(-1))));
		expect(sent).toMatchObject({ seq: 7, sender_id: 'bob', content: 'from the page' });
		expect(told()).toEqual(['resync start', ...stored]);
		await page.close();
		await proxy.close();
	}, 40_000);

	test('goes on after the server was stopped, and after it was killed, with nothing missing', async () => {
		const folder = mkdtempSync(join(tmpdir(), 'chatapi-page-'));
		const [port, masterKey] = [await freePort(), randomSecret()];
		const start = () =>
			startServer({
				dataDir: folder,
				env: { LISTEN_ADDR: `127.0.0.1:${port}`, MASTER_API_KEY: masterKey },
			});
		let server = await start();
		const tenant = await createTenant(server, { allowed_origins: [server.url] });
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		const { page, log, told, live } = await openPage(server.url, () => createTicket(tenant, 'bob'));

		await live(1);
		await sendMessage(tenant, 'alice', room_id, 'before');
		await eventually(() => log.includes('1 before'));
		for (const [round, end] of ['stop', 'kill'].entries()) {
			await (end === 'stop' ? server.stop() : server.kill());
			server = await start();
			await sendMessage(tenant, 'alice', room_id, `missed after ${end}`);
			await live(round + 2);
			await sendMessage(tenant, 'alice', room_id, `live after ${end}`);
		}
		const sent = await page.evaluate(`bob.send('${room_id}', 'from the page')`);

		const stored = await storedIn(tenant, room_id);
		await eventually(() => log.includes(String(stored.at(-1))));
		expect(sent).toMatchObject({ seq: 6, sender_id: 'bob' });
		// One resync, at the start: each time it went on from its cursor.
		expect(told().filter((line) => line !== 'server.shutdown')).toEqual([
			'resync start',
			...stored,
		]);
		await page.close();
		expect(await server.stop()).toBe(0);
		rmSync(folder, { recursive: true, force: true });
	}, 60_000);
}

/** What the page does with the client, as a page would write it. */
const PAGE = `createClient({
	url: location.origin.replace('http', 'ws') + '/ws',
	credentials: async () => ({ query: { token: await ticket() } }),
	onMessage: ({ seq, content }) => note(seq + ' ' + content),
	onGap: () => note('gap'),
	onResync: (reason) => note('resync ' + reason),
	onState: (state) => state === 'live' && note(state),
	backoffMs: { first: 20, max: 200 },
})`;

const path = CHROMIUM;
if (path) {
	describe('the reference client in a page', () => describeBrowser(path));
} else {
	test.skip('the reference client in a page (no Chromium found: install it, or name it in CHROMIUM)', () => {});
}
