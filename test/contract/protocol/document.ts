/** docs/protocol.md as its tables have it: what the suite is held against. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface DocumentedFrame {
	type: string;
	/** Every field, and whether it may be missing. */
	fields: ReadonlyMap<string, { isOptional: boolean }>;
	/** Of a client's frame. */
	permission: string;
	/** Of a client's frame: tokens of the tenant's bucket. */
	cost: number;
}

const TEXT = readFileSync(join(import.meta.dir, '..', '..', '..', 'docs', 'protocol.md'), 'utf8');

/** The rows of the tables between two headings, each as its cells. */
function rowsBetween(start: string, end: string): string[][] {
	const [from, to] = [TEXT.indexOf(`\n${start}\n`), TEXT.indexOf(`\n${end}\n`)];
	if (from === -1 || to < from) throw new Error(`No section from "${start}" to "${end}"`);
	const lines = TEXT.slice(from, to).split('\n');
	const rows = lines.filter((line) => /^\| [`\d]/.test(line));
	return rows.map((row) => row.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '')));
}

const framesOf = (rows: string[][]): DocumentedFrame[] =>
	rows.map(([type = '', fields = '', permission = '', cost = '']) => ({
		type: type.replaceAll('`', ''),
		fields: new Map(
			[...fields.matchAll(/`([a-z_]+)(\??)`/g)].map(([, name = '', optional]) => [
				name,
				{ isOptional: optional === '?' },
			]),
		),
		permission: permission.replaceAll('`', ''),
		cost: Number(cost),
	}));

export const FROM_CLIENT: readonly DocumentedFrame[] = framesOf(
	rowsBetween('### From the client', '### From the server'),
);
export const FROM_SERVER: readonly DocumentedFrame[] = framesOf(
	rowsBetween('### From the server', '## Order and delivery'),
);
/** By their number, the reason that is sent with it. */
export const CLOSE_CODES: ReadonlyMap<number, string> = new Map(
	rowsBetween('## Close codes', '## Limits of a socket').map(([code, reason = '']) => [
		Number(code),
		reason.replaceAll('`', ''),
	]),
);

/** The row of a frame. @throws when the document has none. */
export function documented(frames: readonly DocumentedFrame[], type: string): DocumentedFrame {
	const found = frames.find((frame) => frame.type === type);
	if (found === undefined) throw new Error(`docs/protocol.md has no frame ${type}`);
	return found;
}
