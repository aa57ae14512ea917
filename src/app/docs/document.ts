import { swagger } from '@elysiajs/swagger';
import { type AnyElysia, type DocumentDecoration, Elysia } from 'elysia';
import { documentationOf } from '../../http/openapi-document.ts';

const METHODS: readonly string[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];
const PATH = '/swagger/json';

/**
 * The OpenAPI document of these routes, as JSON text: of all that are not hidden.
 *
 * The plugin lives in an app of its own, which never listens and holds the routes' descriptions
 * only: the page that it brings along, which loads scripts from elsewhere, is out of reach.
 */
export async function createDocument(
	routes: AnyElysia['routes'],
	version: string,
): Promise<string> {
	const described = new Elysia();
	const tags = new Set<string>();
	for (const { method, path, hooks } of routes) {
		const detail: DocumentDecoration = hooks?.detail ?? {};
		if (detail.hide === true || !METHODS.includes(method)) continue;
		for (const tag of detail.tags ?? []) tags.add(tag);
		described.route(method, path, () => undefined, { detail });
	}
	described.use(
		swagger({
			documentation: documentationOf(version, tags),
			specPath: PATH,
			excludeStaticFile: false,
		}),
	);
	// The host must be of four characters or more: the router looks for the path from there on.
	const response = await described.handle(new Request(`http://localhost${PATH}`));
	if (!response.ok) throw new Error(`No OpenAPI document: ${response.status}`);
	return response.text();
}
