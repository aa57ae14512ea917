/**
 * The server's own OpenAPI document, held against its answers: what an operation answers must be
 * declared, and look as declared.
 */
import { mismatchOf, type Schema } from './json-schema.ts';
import { within } from './wait.ts';

export interface Exchange {
	method: string;
	/** The path that was asked, with or without a query. */
	path: string;
	status: number;
	/** Parsed JSON; undefined for anything else. */
	body: unknown;
}

interface DocumentResponse {
	description: string;
	content?: Record<string, { schema?: Schema }>;
}

interface DocumentOperation {
	operationId: string;
	summary?: string;
	description?: string;
	security?: Record<string, string[]>[];
	parameters?: {
		name: string;
		in: string;
		required?: boolean;
		schema?: Schema;
		example?: unknown;
	}[];
	tags?: string[];
	requestBody?: { content: Record<string, { schema?: Schema; example?: unknown }> };
	responses: Record<string, DocumentResponse>;
}

export interface ApiDocument {
	paths: Record<string, Record<string, DocumentOperation>>;
}

/** An operation with its place in the document. */
export interface Declared {
	method: string;
	/** With `{names}` of its parameters. */
	path: string;
	operation: DocumentOperation;
}

export interface OpenApi {
	readonly operations: readonly Declared[];
	/** The operation that a request would reach, under any alias of its path. */
	find(method: string, path: string): Declared | undefined;
	/** @throws when the answer is not what the document declares. */
	check(exchange: Exchange): void;
}

const METHODS = new Set(['get', 'post', 'put', 'patch', 'delete']);

/** One document per server: they are of one binary, but a test may have started another. */
const documents = new Map<string, Promise<OpenApi>>();

/** The document of the server at this address; asked for once. */
export function openApiOf(url: string): Promise<OpenApi> {
	const known = documents.get(url) ?? load(url);
	documents.set(url, known);
	return known;
}

async function load(url: string): Promise<OpenApi> {
	const answer = await within(fetch(`${url}/swagger/json`), 'the OpenAPI document');
	if (answer.status !== 200) throw new Error(`/swagger/json answers ${answer.status}`);
	return createOpenApi((await answer.json()) as ApiDocument);
}

/** A checker over a document. */
export function createOpenApi(document: ApiDocument): OpenApi {
	const operations = Object.entries(document.paths).flatMap(([path, item]) =>
		Object.entries(item)
			.filter(([method]) => METHODS.has(method))
			.map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
	);
	const patterns = operations.map((declared) => ({
		declared,
		pattern: new RegExp(`^${declared.path.replace(/\{[^}]+\}/g, '[^/]+')}/?$`),
		parameters: declared.path.split('{').length,
	}));
	// A literal segment goes before a parameter.
	patterns.sort((left, right) => left.parameters - right.parameters);

	const find = (method: string, path: string) =>
		patterns.find(
			({ declared, pattern }) => declared.method === method && pattern.test(canonical(path)),
		)?.declared;

	return {
		operations,
		find,
		check({ method, path, status, body }) {
			const declared = find(method, path);
			const line = `${method} ${path} → ${status}`;
			if (declared === undefined) {
				// Not an operation: nobody but the router may have answered.
				const isOpen = /^\/(swagger|ws)\b/.test(canonical(path));
				if (!isOpen && ![401, 404, 405].includes(status)) {
					throw new Error(`${line}: no operation of the document`);
				}
				return;
			}
			const response = declared.operation.responses[String(status)];
			if (response === undefined) throw new Error(`${line}: the status is not declared`);
			const schema = response.content?.['application/json']?.schema;
			if (schema === undefined) {
				if (body !== undefined) throw new Error(`${line}: declares no JSON body`);
				return;
			}
			// An operation with more than one form (metrics) may have answered in the other.
			const isOther = body === undefined && Object.keys(response.content ?? {}).length > 1;
			const problem = isOther ? undefined : mismatchOf(body, schema, document);
			if (problem === undefined) return;
			throw new Error(`${line}: the body is not as declared: ${problem}`);
		},
	};
}

/** The path without its alias: `/v1/…` is the same route, `/v1/tenants…` is `/admin/tenants…`. */
function canonical(path: string): string {
	const bare = path.split('?')[0] ?? '';
	if (/^\/v1\/tenants(\/|$)/.test(bare)) return bare.replace('/v1', '/admin');
	return bare.replace(/^\/v1\//, '/');
}
