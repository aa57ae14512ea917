/** A page of another origin, in a real browser: what it may do with a user's token, and what it may not. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type Browser, chromium, type Page } from 'playwright-core';
import { CHROMIUM, CHROMIUM_FLAGS } from '../helpers/browser.ts';
import { createGroup, createTenant, createToken } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';

const BROWSER_DEADLINE_MS = 40_000;

const used = useServer();

/** An empty page at an origin of its own. */
const servePage = () =>
	Bun.serve({
		hostname: '127.0.0.1',
		port: 0,
		fetch: () => new Response('<!doctype html>', { headers: { 'Content-Type': 'text/html' } }),
	});

/** What a page does: over REST, then by a ticket over a socket. Runs in the browser. */
async function useApi({ url, token, room_id }: { url: string; token: string; room_id: string }) {
	const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
	const post = (path: string, body: object) =>
		fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
	try {
		const sent = await post(`/rooms/${room_id}/messages`, { content: 'from a page' });
		const made = (await (await post('/ws/token', {})).json()) as { token: string };
		const bad = await fetch(`${url}/rooms`, { headers: { Authorization: 'Bearer ut_bad' } });
		const socket = new WebSocket(`${url.replace('http', 'ws')}/ws?token=${made.token}`);
		const connected = await new Promise<string>((resolve) => {
			socket.onmessage = ({ data }) => resolve(String(data));
			socket.onclose = ({ code }) => resolve(`closed ${code}`);
		});
		socket.close();
		const request_id = sent.headers.get('X-Request-Id');
		return { sent: sent.status, request_id, bad: bad.status, connected };
	} catch (error) {
		return { failed: String(error) };
	}
}

function describeBrowser(executablePath: string) {
	let browser: Browser | undefined;
	const pages = [servePage(), servePage()];
	const [own, other] = pages.map(({ port }) => `http://127.0.0.1:${port}`);
	beforeAll(async () => {
		browser = await chromium.launch({ executablePath, args: [...CHROMIUM_FLAGS] });
	});
	afterAll(async () => {
		await browser?.close();
		await Promise.all(pages.map((page) => page.stop(true)));
	});

	async function visit(origin = ''): Promise<Page> {
		const context = await browser?.newContext();
		if (context === undefined) throw new Error('There is no browser');
		context.setDefaultTimeout(BROWSER_DEADLINE_MS);
		const page = await context.newPage();
		await page.goto(origin);
		return page;
	}

	test('of the tenant’s sends, asks for a ticket, opens a socket, and reads a 401', async () => {
		const tenant = await createTenant(used.server, { allowed_origins: [own] });
		const { room_id } = await createGroup(tenant, 'alice');
		const input = {
			url: used.server.url,
			token: await createToken(tenant, 'alice'),
			room_id,
		};

		const done = await (await visit(own)).evaluate(useApi, input);

		expect({ ...done, connected: '', request_id: '' }).toEqual({
			sent: 201,
			bad: 401,
			connected: '',
			request_id: '',
		});
		expect(done.request_id).toStartWith('req_');
		expect(done.connected).toContain('"type":"connected"');
		expect(done.connected).toContain('"user_id":"alice"');
	});

	test('of any other origin does nothing with the same token', async () => {
		const tenant = await createTenant(used.server, { allowed_origins: [own] });
		const { room_id } = await createGroup(tenant, 'alice');
		const token = await createToken(tenant, 'alice');

		const done = await (await visit(other)).evaluate(useApi, {
			url: used.server.url,
			token,
			room_id,
		});

		expect(done.failed).toContain('Failed to fetch');
		const { body } = await tenant.as('alice').get<{ last_seq: number }>(`/rooms/${room_id}`);
		expect(body.last_seq).toBe(0);
	});
}

const path = CHROMIUM;
if (path) describe('a page in a browser', () => describeBrowser(path));
else test.skip('a page in a browser (no Chromium here; CHROMIUM=/path names one)', () => {});
