/**
 * The docs page and the document behind it, from the binary, in a browser that can reach nothing
 * but the server.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { type Browser, chromium, type Locator, type Page } from 'playwright-core';
import { CHROMIUM, CHROMIUM_FLAGS } from '../helpers/browser.ts';
import { errorOf, httpClient } from '../helpers/http.ts';
import { mismatchOf } from '../helpers/json-schema.ts';
import { type Declared, openApiOf } from '../helpers/openapi.ts';
import { createTenant } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';

const BROWSER_DEADLINE_MS = 40_000;

/** What the master key is for. */
const OPERATORS = /^\/(admin\/|metrics$)/;

const used = useServer();

const nameOf = ({ method, path }: Pick<Declared, 'method' | 'path'>) => `${method} ${path}`;

async function documentOf(): Promise<Record<string, unknown>> {
	const answer = await fetch(`${used.server.url}/swagger/json`);
	return (await answer.json()) as Record<string, unknown>;
}

describe('/swagger/json', () => {
	test('is a valid OpenAPI 3.0.3 document', async () => {
		const document = await documentOf();

		expect(document.openapi).toBe('3.0.3');
		expect(await new Validator().validate(document)).toEqual({ valid: true });
	});

	test('tells of each operation once, with summary, tag, errors, permission and credentials', async () => {
		const { operations } = await openApiOf(used.server.url);
		const tags = (await documentOf()).tags as { name: string; description?: string }[];
		const explained = tags.filter(({ description }) => description).map(({ name }) => name);

		const lacking = operations.filter(({ path, operation }) => {
			const { tags: [tag = ''] = [], summary, security, responses } = operation;
			const isTenants = (security ?? []).some((needs) => 'ApiKey' in needs);
			const permission: unknown = Reflect.get(operation, 'x-permission');
			return !(
				summary &&
				explained.includes(tag) &&
				security !== undefined &&
				responses['500'] !== undefined &&
				isTenants === (typeof permission === 'string') &&
				(!isTenants || operation.description?.includes(String(permission))) &&
				OPERATORS.test(path) === security.some((needs) => 'MasterKey' in needs)
			);
		});

		const ids = operations.map(({ operation }) => operation.operationId);
		expect(lacking.map(nameOf)).toEqual([]);
		expect(new Set(ids).size).toBe(ids.length);
		expect(operations.filter(({ path }) => path.startsWith('/v1'))).toEqual([]);
		expect(operations.map(nameOf)).toContain('POST /rooms/{room_id}/messages');
	});

	test('says truly who may ask: a user, the tenant itself, or both', async () => {
		const { operations } = await openApiOf(used.server.url);
		const { api_key } = await createTenant(used.server);
		/** Whether it is refused for who asks, and for nothing else. */
		const isRefused = async ({ method, path, operation }: Declared, user?: string) => {
			const exampleOf = (name: string) =>
				String(operation.parameters?.find((parameter) => parameter.name === name)?.example);
			const body = operation.requestBody?.content['application/json']?.example;
			const answer = await httpClient(used.server, { key: api_key, ...(user && { user }) }).call(
				method,
				path.replaceAll(/\{(\w+)\}/g, (_, name: string) => exampleOf(name)),
				body === undefined ? {} : { body },
			);
			return answer.status === 400 && errorOf(answer).field === 'X-User-Id';
		};

		const wrong: string[] = [];
		const counts = { user: 0, tenant: 0, any: 0 };
		for (const declared of operations) {
			const ways = (declared.operation.security ?? []).filter((needs) => 'ApiKey' in needs);
			// What opens a socket is asked otherwise.
			if (ways.length === 0 || declared.path === '/ws') continue;
			const who = ways.length === 2 ? 'any' : 'UserId' in (ways[0] ?? {}) ? 'user' : 'tenant';
			counts[who]++;
			const refusals = [await isRefused(declared, 'carol'), await isRefused(declared)];
			const expected = [who === 'tenant', who === 'user'];
			if (!Bun.deepEquals(refusals, expected)) wrong.push(`${nameOf(declared)} ${who} ${refusals}`);
		}
		expect(wrong).toEqual([]);
		expect(Math.min(...Object.values(counts))).toBeGreaterThan(5);
	});

	test('fills in nothing that may be left out: what is filled in may fit no other server', async () => {
		const { operations } = await openApiOf(used.server.url);

		const filled = operations.flatMap((declared) =>
			(declared.operation.parameters ?? [])
				.filter(({ required, example }) => required !== true && example !== undefined)
				.map(({ name }) => `${nameOf(declared)} ${name}`),
		);

		expect(filled).toEqual([]);
	});

	test('shows examples that fit their schemas, of every body and every answer', async () => {
		const document = await documentOf();
		const { operations } = await openApiOf(used.server.url);

		const contents = operations.flatMap((declared) =>
			Object.entries({ body: declared.operation.requestBody, ...declared.operation.responses })
				.map(([place, of]) => ({ place: `${nameOf(declared)} ${place}`, of }))
				.filter(({ of }) => of?.content?.['application/json'] !== undefined),
		);
		const misfits = contents.flatMap(({ place, of }) => {
			const { schema, example } = (of?.content?.['application/json'] ?? {}) as {
				schema?: unknown;
				example?: unknown;
			};
			const problem = mismatchOf(example, schema, document);
			return problem === undefined ? [] : [`${place}${problem}`];
		});

		expect(contents.length).toBeGreaterThan(operations.length);
		expect(misfits).toEqual([]);
	});
});

describe('the files of /swagger', () => {
	test('allow no script but our own and no other origin', async () => {
		const page = await fetch(`${used.server.url}/swagger`);
		const html = await page.text();

		const policy = page.headers.get('Content-Security-Policy') ?? '';
		const scripts = policy.split('; ').find((directive) => directive.startsWith('script-src'));
		expect(scripts).toBe("script-src 'self'");
		expect(policy).toStartWith("default-src 'none'");
		expect(html).not.toMatch(/https?:|<script>|<style|\son\w+=/);
	});

	test('come with type, nosniff and ETag, to GET and HEAD, and are not sent twice', async () => {
		const { url } = used.server;
		const html = await (await fetch(`${url}/swagger`)).text();
		const files = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => `${path}`);
		expect(files.length).toBeGreaterThan(3);

		for (const path of ['/swagger', ...files]) {
			const got = await fetch(url + path);
			const size = (await got.bytes()).length;
			const head = await fetch(url + path, { method: 'HEAD' });
			const etag = got.headers.get('ETag') ?? '';
			const again = await fetch(url + path, {
				headers: { 'If-None-Match': etag, 'X-Request-Id': 'mine-1' },
			});

			expect([path, got.status, head.status, again.status]).toEqual([path, 200, 200, 304]);
			expect(head.headers.get('Content-Length')).toBe(String(size));
			expect(head.headers.get('ETag')).toBe(etag);
			expect(etag).toMatch(/^"[\w-]{20,}"$/);
			expect(got.headers.get('X-Request-Id')).toStartWith('req_');
			expect(again.headers.get('X-Request-Id')).toBe('mine-1');
			expect(got.headers.get('X-Content-Type-Options')).toBe('nosniff');
			expect(got.headers.get('Content-Type')).toMatch(/^(text|image|application)\//);
			expect((await again.bytes()).length).toBe(0);
		}
	});
});

/** Of one try to open an operation, and how many there are. */
const OPEN_MS = 2000;
const OPEN_TRIES_MAX = 10;

/** A page, and what it did that it should not. */
interface Visit {
	page: Page;
	/** Requests to other origins; each was refused. */
	foreign: string[];
	/** Errors and warnings of the console, CSP violations among them, and uncaught exceptions. */
	complaints: string[];
}

function describeBrowser(executablePath: string) {
	let browser: Browser | undefined;
	beforeAll(async () => {
		browser = await chromium.launch({ executablePath, args: [...CHROMIUM_FLAGS] });
	});
	afterAll(() => browser?.close());

	/** Opens the page in a profile of its own and waits until it shows operations. */
	async function visit(): Promise<Visit> {
		const { url } = used.server;
		const context = await browser?.newContext({ viewport: { width: 1280, height: 1000 } });
		if (context === undefined) throw new Error('There is no browser');
		context.setDefaultTimeout(BROWSER_DEADLINE_MS);
		const foreign: string[] = [];
		const complaints: string[] = [];
		await context.route('**/*', (route) => {
			const asked = new URL(route.request().url());
			if (asked.origin === url || asked.protocol === 'data:') return route.continue();
			foreign.push(asked.href);
			return route.abort();
		});
		const page = await context.newPage();
		page.on('console', (message) => {
			if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
		});
		page.on('pageerror', (error) => complaints.push(error.message));
		await page.goto(`${url}/swagger`);
		await page.locator('.opblock').first().waitFor();
		return { page, foreign, complaints };
	}

	const root = (page: Page) => page.locator('html');
	const operationAt = (page: Page, method: string, path: string) =>
		page.locator(`.opblock-${method}`, { has: page.locator(`[data-path="${path}"]`) });

	async function authorize(page: Page, credentials: Record<string, string>) {
		await page.locator('.btn.authorize').first().click();
		for (const [header, value] of Object.entries(credentials)) {
			const entry = page.locator('.auth-container', { hasText: header });
			await entry.locator('input').fill(value);
			await entry.getByRole('button', { name: 'Apply' }).click();
		}
		await page.locator('.close-modal').click();
	}

	/** Opens an operation. After a reload the page opens the last one by itself, some time: a click then closes it. */
	async function openUp(operation: Locator): Promise<void> {
		const execute = operation.locator('.execute');
		for (let tries = 0; tries < OPEN_TRIES_MAX; tries++) {
			const isOpen = await operation.evaluate((block) => block.classList.contains('is-open'));
			if (!isOpen) await operation.locator('.opblock-summary-control').click();
			const isShown = await execute.waitFor({ timeout: OPEN_MS }).then(
				() => true,
				() => false,
			);
			if (isShown) return;
		}
		throw new Error('The operation does not open');
	}

	/** Presses "Execute"; returns what was sent and the status that the page shows. */
	async function tryOut(page: Page, method: string, path: string) {
		const operation = operationAt(page, method, path);
		await openUp(operation);
		const [request] = await Promise.all([
			page.waitForRequest((sent) => new URL(sent.url()).pathname === path),
			operation.locator('.execute').click(),
		]);
		const shown = operation.locator('.live-responses-table .response');
		await shown.waitFor();
		return {
			headers: await request.allHeaders(),
			body: request.postDataJSON(),
			status: await shown.locator('.response-col_status').textContent(),
			text: await shown.textContent(),
		};
	}

	test('shows every operation of the document, and asks nobody else for anything', async () => {
		const { operations } = await openApiOf(used.server.url);

		const { page, foreign, complaints } = await visit();

		const shown = await page.locator('.opblock-summary').evaluateAll((summaries) =>
			summaries.map((summary) => {
				const method = summary.querySelector('.opblock-summary-method')?.textContent;
				const path = summary.querySelector('.opblock-summary-path')?.getAttribute('data-path');
				return `${method} ${path}`;
			}),
		);
		expect(shown.sort()).toEqual(operations.map(nameOf).sort());
		expect({ foreign, complaints }).toEqual({ foreign: [], complaints: [] });
		await page.context().close();
	});

	test('opens "Authorize" at the first credential, in narrow windows too', async () => {
		const { page } = await visit();
		for (const width of [1280, 390]) {
			await page.setViewportSize({ width, height: 800 });
			await page.locator('.btn.authorize').first().click();

			const first = page.locator('.auth-container input').first();
			await first.and(page.locator(':focus')).waitFor();
			const isShown = await first.evaluate((input) => {
				const box = input.getBoundingClientRect();
				const seen = input.ownerDocument.elementFromPoint(
					box.x + box.width / 2,
					box.y + box.height / 2,
				);
				return seen === input;
			});
			expect({ width, isShown }).toEqual({ width, isShown: true });
			expect(await root(page).evaluate(({ scrollWidth }) => scrollWidth)).toBe(width);
			await page.locator('.close-modal').click();
		}
		await page.context().close();
	});

	test('is as dark as the system', async () => {
		const { page } = await visit();
		const isDark = () => root(page).evaluate(({ classList }) => classList.contains('dark-mode'));

		expect(await isDark()).toBe(false);
		await page.emulateMedia({ colorScheme: 'dark' });
		expect(await isDark()).toBe(true);
		await page.context().close();
	});

	test('offers the three header credentials under "Authorize"', async () => {
		const { page, complaints } = await visit();

		await page.locator('.btn.authorize').first().click();

		const dialog = page.locator('.modal-ux');
		const entries = await dialog.locator('.auth-container').allInnerTexts();
		for (const header of ['X-API-Key', 'X-User-Id', 'X-Master-Key']) {
			expect(entries.filter((entry) => entry.includes(header))).toHaveLength(1);
			expect(await dialog.getByText(header, { exact: true }).isVisible()).toBe(true);
		}
		expect(complaints).toEqual([]);
		await page.context().close();
	});

	test('"Try it out" sends the credentials, shows the answer, and remembers them', async () => {
		const { api_key } = await createTenant(used.server);
		const { page, foreign, complaints } = await visit();
		await authorize(page, { 'X-API-Key': api_key, 'X-User-Id': 'alice' });

		const first = await tryOut(page, 'post', '/rooms');
		await page.reload();
		const second = await tryOut(page, 'post', '/rooms');

		expect(first.headers).toMatchObject({ 'x-api-key': api_key, 'x-user-id': 'alice' });
		expect(first.body).toMatchObject({ type: 'dm' });
		expect(first.status).toStartWith('201');
		expect(first.text).toContain('"unique_key"');
		expect(second.headers).toMatchObject({ 'x-api-key': api_key, 'x-user-id': 'alice' });
		expect(second.status).toStartWith('200');
		expect(second.text).toContain('"duplicate": true');
		expect({ foreign, complaints }).toEqual({ foreign: [], complaints: [] });
		await page.context().close();
	});

	test('"Try it out" of what is for the tenant itself names no user, whoever is entered', async () => {
		const { api_key } = await createTenant(used.server);
		const { page, complaints } = await visit();
		await authorize(page, { 'X-API-Key': api_key, 'X-User-Id': 'alice' });

		const { headers, status } = await tryOut(page, 'get', '/usage');

		expect(headers).toMatchObject({ 'x-api-key': api_key });
		expect(headers).not.toHaveProperty('x-user-id');
		expect(status).toStartWith('200');
		expect(complaints).toEqual([]);
		await page.context().close();
	});

	test('is held to its policy: a script that asks another origin is refused and noticed', async () => {
		const { page, foreign, complaints } = await visit();

		const outcome = await page.evaluate(() =>
			fetch('http://127.0.0.2:9/').then(
				() => 'answered',
				() => 'refused',
			),
		);

		expect(outcome).toBe('refused');
		expect(foreign).toEqual([]);
		expect(complaints.join('\n')).toContain('Content Security Policy');
		await page.context().close();
	});
}

const path = CHROMIUM;
if (path) {
	describe('the page in a browser', () => describeBrowser(path));
} else {
	test.skip('the page in a browser (no Chromium found: install it, or name it in CHROMIUM)', () => {});
}
