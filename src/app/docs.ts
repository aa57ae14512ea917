import { type AnyElysia, Elysia } from 'elysia';
import type { Ids } from '../core/ids.ts';
import { requestIdOf } from '../http/request-id.ts';
import { ASSETS, type Asset } from './docs/assets.ts';
import { createDocument } from './docs/document.ts';

interface DocsOptions {
	version: string;
	ids: Ids;
	/** The routes to describe. Asked for once, when the document is first read: after all are there. */
	routes: () => AnyElysia['routes'];
}

interface Loaded {
	bytes: Uint8Array<ArrayBuffer>;
	etag: string;
}

/** Assets are of this binary, not of this address: a browser asks each time, mostly to learn of no change. */
const CACHE_CONTROL = 'no-cache';

/**
 * The docs page at `/swagger` and the OpenAPI document at `/swagger/json`, open to everybody, for
 * GET and HEAD. Nothing of it comes from another host.
 */
export function createDocs({ version, ids, routes }: DocsOptions) {
	const app = new Elysia();
	const assets: Record<string, Asset> = {
		...ASSETS,
		'/swagger/json': {
			type: 'application/json; charset=utf-8',
			read: async () => Buffer.from(await createDocument(routes(), version)),
		},
	};
	for (const [path, asset] of Object.entries(assets)) {
		const answer = answerOf(asset, ids);
		app.get(path, ({ request }) => answer(request), { detail: { hide: true } });
		app.head(path, ({ request }) => answer(request), { detail: { hide: true } });
	}
	return app;
}

/** Answers with the asset, or with 304 to whoever has it. Read when first asked for, then kept. */
function answerOf(asset: Asset, ids: Ids): (request: Request) => Promise<Response> {
	let loading: Promise<Loaded> | undefined;

	async function load(): Promise<Loaded> {
		const bytes = await asset.read();
		const hash = new Bun.CryptoHasher('sha256').update(bytes).digest('base64url');
		return { bytes, etag: `"${hash}"` };
	}

	return async function answer(request) {
		loading ??= load();
		const { bytes, etag } = await loading;
		const headers = {
			'Content-Type': asset.type,
			'X-Request-Id': requestIdOf(request.headers, ids),
			'Cache-Control': CACHE_CONTROL,
			ETag: etag,
			'X-Content-Type-Options': 'nosniff',
			'Referrer-Policy': 'no-referrer',
			...(asset.csp === undefined ? {} : { 'Content-Security-Policy': asset.csp }),
		};
		if (isKnown(request.headers.get('If-None-Match'), etag)) {
			return new Response(null, { status: 304, headers });
		}
		return new Response(bytes, { headers });
	};
}

/** @see https://www.rfc-editor.org/rfc/rfc9110#name-if-none-match */
function isKnown(ifNoneMatch: string | null, etag: string): boolean {
	if (ifNoneMatch === null) return false;
	const known = ifNoneMatch.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
	return known.includes('*') || known.includes(etag);
}
