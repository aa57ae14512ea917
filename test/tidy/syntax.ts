/**
 * What the tidy rules see of a source file, read off its syntax tree.
 *
 * The parser is TypeScript's own, asked over its API. That API is marked unstable: an upgrade of
 * `typescript` may have to touch this file, and only this one. The synchronous API does not work
 * under Bun 1.4.5 (it reads a private field of child_process), hence the asynchronous one.
 */
import {
	isCallExpression,
	isConstructorDeclaration,
	isElementAccessExpression,
	isEnumDeclaration,
	isExportDeclaration,
	isFunctionLikeDeclaration,
	isIdentifier,
	isImportDeclaration,
	isImportTypeNode,
	isLiteralTypeNode,
	isModuleDeclaration,
	isNewExpression,
	isNoSubstitutionTemplateLiteral,
	isObjectBindingPattern,
	isPropertyAccessExpression,
	isStringLiteral,
	isVariableDeclaration,
	type Node,
	type SourceFile,
	SyntaxKind,
} from 'typescript/unstable/ast';
import { API } from 'typescript/unstable/async';

/** Something at a line, counted from 1. */
export interface Mention {
	name: string;
	line: number;
}

/** A function and how many lines are its own: those of functions within it are theirs. */
interface OwnLines {
	name: string;
	line: number;
	lines: number;
}

export interface Source {
	/** From the repository's root, with `/`. */
	path: string;
	text: string;
	/** Every module this one names: static, dynamic, re-exported, `import type`, `import('…').X`. */
	imports: Mention[];
	/**
	 * Every use of a name or of a path of names: `console`, `Date.now`, `new Date()`. Names that are
	 * declared or are keys do not count.
	 */
	uses: Mention[];
	/** Every enum and namespace. */
	banned: Mention[];
	functions: OwnLines[];
}

/** Parses sources that need not exist on any disk, in the order given. */
export async function parseSources(texts: ReadonlyMap<string, string>): Promise<Source[]> {
	const files = new Map([...texts].map(([path, text]) => [`/sources/${path}`, text]));
	const project = '/sources/tsconfig.json';
	const config = {
		compilerOptions: { noLib: true, noResolve: true, types: [] },
		files: [...files.keys()],
	};
	files.set(project, JSON.stringify(config));
	const api = new API({
		cwd: '/sources',
		fs: {
			readFile: (path) => files.get(path) ?? null,
			fileExists: (path) => files.has(path),
			directoryExists: () => false,
			getAccessibleEntries: () => ({ files: [], directories: [] }),
			realpath: (path) => path,
		},
	});
	try {
		const snapshot = await api.updateSnapshot({ openProjects: [project] });
		const program = snapshot.getProjects()[0]?.program;
		const sources: Source[] = [];
		for (const [path, text] of texts) {
			const root = await program?.getSourceFile(`/sources/${path}`);
			if (root === undefined) throw new Error(`${path} could not be parsed`);
			sources.push(readSource(path, text, root));
		}
		return sources;
	} finally {
		await api.close();
	}
}

function readSource(path: string, text: string, root: SourceFile): Source {
	const source: Source = { path, text, imports: [], uses: [], banned: [], functions: [] };
	const lineOf = (position: number) => root.getLineAndCharacterOfPosition(position).line + 1;
	let enclosing: OwnLines | undefined;

	function visit(node: Node): void {
		const line = lineOf(node.getStart(root));
		const specifier = specifierOf(node);
		if (specifier !== undefined) source.imports.push({ name: specifier, line });
		for (const name of usesOf(node)) source.uses.push({ name, line });
		if (isEnumDeclaration(node)) source.banned.push({ name: 'enum', line });
		// `declare module '*.css'` tells of files and makes no namespace.
		if (isModuleDeclaration(node) && textOf(node.name) === undefined) {
			source.banned.push({ name: 'namespace', line });
		}
		if (isFunctionLikeDeclaration(node)) {
			const lines = lineOf(node.getEnd() - 1) - line + 1;
			const own = { name: functionName(node), line, lines };
			source.functions.push(own);
			// A function within a function is counted by itself: a factory is as long as what it sets
			// up, not as all that it makes. Its first line is still a line of the outer one.
			if (enclosing !== undefined) enclosing.lines -= lines - 1;
			const outer = enclosing;
			enclosing = own;
			node.forEachChild(visit);
			enclosing = outer;
			return;
		}
		node.forEachChild(visit);
	}

	visit(root);
	return source;
}

/** The module that an import, export or `import()` names. */
function specifierOf(node: Node): string | undefined {
	if (isImportDeclaration(node) || isExportDeclaration(node)) {
		return textOf(node.moduleSpecifier);
	}
	if (isImportTypeNode(node)) {
		return isLiteralTypeNode(node.argument) ? textOf(node.argument.literal) : undefined;
	}
	if (!isCallExpression(node)) return undefined;
	const isImport =
		node.expression.kind === SyntaxKind.ImportKeyword || pathOf(node.expression) === 'require';
	return isImport ? textOf(node.arguments[0]) : undefined;
}

/** What a plain string says; undefined for everything else. */
function textOf(node: Node | undefined): string | undefined {
	if (node === undefined) return undefined;
	return isStringLiteral(node) || isNoSubstitutionTemplateLiteral(node) ? node.text : undefined;
}

/** `a.b.c` of an access to a chain of plain names, however it is written; undefined for others. */
function pathOf(node: Node): string | undefined {
	if (isIdentifier(node)) return node.text;
	if (node.kind === SyntaxKind.MetaProperty) return 'import.meta';
	if (isPropertyAccessExpression(node)) return join(pathOf(node.expression), node.name.text);
	if (!isElementAccessExpression(node)) return undefined;
	const key = textOf(node.argumentExpression);
	return key === undefined ? undefined : join(pathOf(node.expression), key);
}

function join(path: string | undefined, name: string): string | undefined {
	if (path === undefined) return undefined;
	return path === 'globalThis' ? name : `${path}.${name}`;
}

function usesOf(node: Node): string[] {
	if (isNewExpression(node)) {
		const path = pathOf(node.expression);
		return path === undefined ? [] : [`new ${path}(${node.arguments?.length ? '…' : ''})`];
	}
	if (isCallExpression(node)) {
		const path = pathOf(node.expression);
		return path === undefined ? [] : [`${path}(${node.arguments.length ? '…' : ''})`];
	}
	// `const { now } = Date` uses Date.now.
	if (isVariableDeclaration(node) && isObjectBindingPattern(node.name) && node.initializer) {
		const path = pathOf(node.initializer);
		return node.name.elements.flatMap((element) => {
			const key = element.propertyName ?? element.name;
			const use = key && isIdentifier(key) ? join(path, key.text) : undefined;
			return use === undefined ? [] : [use];
		});
	}
	const path = pathOf(node);
	return path === undefined || (isIdentifier(node) && !isUse(node)) ? [] : [path];
}

/** Whether a name stands for a value here, and is not just a key or the name of a declaration. */
function isUse(node: Node): boolean {
	const { parent } = node;
	if (isPropertyAccessExpression(parent)) return parent.expression === node;
	switch (parent.kind) {
		case SyntaxKind.PropertyAssignment:
			return 'initializer' in parent && parent.initializer === node;
		case SyntaxKind.PropertySignature:
		case SyntaxKind.PropertyDeclaration:
		case SyntaxKind.MethodDeclaration:
		case SyntaxKind.MethodSignature:
		case SyntaxKind.Parameter:
			return 'initializer' in parent && parent.initializer === node;
		default:
			return true;
	}
}

function functionName(node: Node): string {
	if (isConstructorDeclaration(node)) return 'constructor';
	const name = 'name' in node ? (node.name as Node | undefined) : undefined;
	if (name !== undefined && isIdentifier(name)) return name.text;
	const { parent } = node;
	const holder = 'name' in parent ? (parent.name as Node | undefined) : undefined;
	return holder !== undefined && isIdentifier(holder) ? holder.text : 'a function';
}
