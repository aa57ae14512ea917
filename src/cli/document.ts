/** A document of configuration as a file: read, filled in from the environment, and found again by line. */
import { readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import { DOCUMENT_BYTES_MAX } from '../features/configuration/schema.ts';
import { CommandFailed } from './failure.ts';

export interface ConfigurationFile {
	plans?: unknown;
	tenants?: unknown;
}

export interface ReadDocument {
	/** What is sent. */
	wanted: ConfigurationFile;
	/** `tenants.yaml:12`, for a field or JSON pointer that the server names. */
	placeOf(field: string): string;
}

const LISTS: ReadonlySet<unknown> = new Set(['plans', 'tenants']);
/** Uses of anchors; each may stand for much, so that a few of them could fill the memory. */
const ALIASES_MAX = 1000;
/** A variable to be filled in, or the text that would begin one. */
const VARIABLE = /\$\$\{|\$\{([^}]*)\}?/g;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * Reads a document, YAML or JSON, with `${NAME}` in its values filled in.
 *
 * @throws CommandFailed naming the line, for what is no such document or names a variable that is not set.
 */
export function readDocument(
	path: string,
	env: Readonly<Record<string, string | undefined>>,
): ReadDocument {
	const lines = new LineCounter();
	const name = basename(path);
	const document = parse(readText(path), name, lines);
	const lineAt = (offset: number) => `${name}:${lines.linePos(offset).line}`;
	const [problem] = [...document.errors, ...document.warnings];
	if (problem !== undefined) {
		const said = problem.message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '') ?? '';
		throw new CommandFailed(`${lineAt(problem.pos[0])}: ${said}`);
	}
	if (document.contents === null) return { wanted: {}, placeOf: () => name };
	if (!isMap(document.contents)) {
		throw new CommandFailed(`${name}: must be an object with plans and tenants`);
	}
	for (const { key } of document.contents.items) {
		const text = isScalar(key) ? key.value : undefined;
		if (LISTS.has(text)) continue;
		throw new CommandFailed(`${lineOf(key, lineAt, name)}: unknown field: ${show(text)}`);
	}
	fillIn(document, env, lineAt);
	return { wanted: plainOf(document, name), placeOf: placesIn(document, name, lineAt) };
}

function readText(path: string): string {
	const bytes = path === '-' ? readFileSync(0) : readFile(path);
	if (bytes.length > DOCUMENT_BYTES_MAX) throw tooLarge(path);
	try {
		return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
	} catch {
		throw new CommandFailed(`${path} is not valid UTF-8`);
	}
}

function readFile(path: string): Buffer {
	if (statSync(path).size > DOCUMENT_BYTES_MAX) throw tooLarge(path);
	return readFileSync(path);
}

const tooLarge = (path: string) =>
	new CommandFailed(`${path} is larger than ${DOCUMENT_BYTES_MAX / 1024 / 1024} MiB`);

function parse(text: string, name: string, lineCounter: LineCounter): Document.Parsed {
	try {
		return parseDocument(text, { lineCounter, merge: true, schema: 'core', stringKeys: true });
	} catch (error) {
		// The parser calls itself, as deep as the document is nested.
		if (error instanceof RangeError) throw new CommandFailed(`${name}: nested too deep`);
		throw error;
	}
}

/** Fills the values in, never the names of fields; what was filled in is text, and is not read again. */
function fillIn(
	document: Document.Parsed,
	env: Readonly<Record<string, string | undefined>>,
	lineAt: (offset: number) => string,
): void {
	visit(document, {
		Scalar(key, node) {
			const at = () => lineAt(node.range?.[0] ?? 0);
			if (typeof node.value === 'number' && !Number.isFinite(node.value)) {
				throw new CommandFailed(`${at()}: must be a number that JSON can write`);
			}
			if (key === 'key' || typeof node.value !== 'string' || !node.value.includes('${')) return;
			node.value = node.value.replace(VARIABLE, (found, name?: string) => {
				if (found === '$${') return '${';
				if (name === undefined || !NAME.test(name) || !found.endsWith('}')) {
					throw new CommandFailed(
						`${at()}: \${…} must hold the name of an environment variable; for the text itself write $\${`,
					);
				}
				const value = env[name];
				if (value !== undefined) return value;
				throw new CommandFailed(`${at()}: the environment variable ${name} is not set`);
			});
		},
	});
}

function plainOf(document: Document.Parsed, name: string): ConfigurationFile {
	try {
		const plain = document.toJS({ maxAliasCount: ALIASES_MAX }) as ConfigurationFile;
		requireSendable(plain, name);
		return plain;
	} catch (error) {
		if (error instanceof CommandFailed) throw error;
		// An alias without its anchor, too many of them, or one within itself.
		throw new CommandFailed(`${name}: ${(error as Error).message.split('\n')[0]}`);
	}
}

/** What is written once and stands in many places is counted in each. */
function requireSendable(plain: ConfigurationFile, name: string): void {
	let bytes = 0;
	JSON.stringify(plain, (key, value: unknown) => {
		bytes += key.length + (typeof value === 'string' ? value.length : 1);
		if (bytes > DOCUMENT_BYTES_MAX) throw tooLarge(name);
		return value;
	});
}

/** Finds the line of what the server names, or of the nearest thing around it. */
function placesIn(
	document: Document.Parsed,
	name: string,
	lineAt: (offset: number) => string,
): (field: string) => string {
	return (field) => {
		const steps = field.startsWith('/') ? field.slice(1).split('/') : [field];
		const path = steps.map((step) => {
			const text = step.replaceAll('~1', '/').replaceAll('~0', '~');
			return /^\d+$/.test(text) ? Number(text) : text;
		});
		for (; path.length > 0; path.pop()) {
			const node: unknown = document.hasIn(path) ? document.getIn(path, true) : undefined;
			if (isNode(node)) return lineOf(node, lineAt, name);
		}
		return name;
	};
}

const lineOf = (node: unknown, lineAt: (offset: number) => string, name: string): string =>
	isNode(node) && node.range ? lineAt(node.range[0]) : name;

const show = (value: unknown): string => JSON.stringify(value)?.slice(0, 100) ?? 'a list or object';
