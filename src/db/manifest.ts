import { readFileSync, statSync } from 'node:fs';
import Type, { type Static } from 'typebox';
import Value from 'typebox/value';
import { DatabaseRefused } from './migrate.ts';

/** One life of a tenant's event log, and its end. */
const LogState = Type.Object({
	tenant_id: Type.String({ maxLength: 64 }),
	epoch: Type.String({ maxLength: 16 }),
	last_cursor: Type.Integer({ minimum: 0 }),
});

const Manifest = Type.Object({
	format: Type.Literal('chatapi-backup-1'),
	/** The moment that the copy shows: what was answered before is in it. */
	created_at: Type.String({ maxLength: 40 }),
	/** Of the executable that made it. */
	version: Type.String({ maxLength: 64 }),
	file: Type.String({ maxLength: 255 }),
	bytes: Type.Integer({ minimum: 1 }),
	sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
	schema: Type.Object({ migrations: Type.Integer({ minimum: 1 }), hash: Type.String() }),
	tenants: Type.Array(LogState),
});

/** What stands beside a backup: by it is told whether the file still is what was written. */
export type Manifest = Static<typeof Manifest>;
export type LogState = Static<typeof LogState>;

/** Some 100 bytes a tenant: room for millions, and an end to what is read into memory. */
const MANIFEST_BYTES_MAX = 512 * 1024 * 1024;

/** Where the manifest of a backup is. */
export const manifestPath = (file: string): string => `${file}.manifest.json`;

/** A tenant a line, so that two manifests can be compared by eye. */
export function manifestText({ tenants, ...rest }: Manifest): string {
	const head = JSON.stringify(rest, null, '\t').slice(0, -2);
	const lines = tenants.map((tenant) => `\n\t\t${JSON.stringify(tenant)}`).join(',');
	return `${head},\n\t"tenants": [${lines}${lines === '' ? '' : '\n\t'}]\n}\n`;
}

/** The manifest of a backup. @throws DatabaseRefused when there is none, or it is damaged. */
export function readManifest(file: string): Manifest {
	const path = manifestPath(file);
	const manifest = parsed(path);
	if (!Value.Check(Manifest, manifest)) {
		throw new DatabaseRefused(`${path} is damaged, or is no manifest of a backup`);
	}
	return manifest;
}

function parsed(path: string): unknown {
	const size = statSync(path, { throwIfNoEntry: false })?.size;
	if (size === undefined) {
		throw new DatabaseRefused(
			`${path} is missing: without its manifest nothing shows that a file is a whole backup`,
		);
	}
	if (size > MANIFEST_BYTES_MAX) return undefined;
	try {
		return JSON.parse(readFileSync(path, 'utf8'));
	} catch {
		return undefined;
	}
}
