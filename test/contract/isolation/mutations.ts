/**
 * The mutants of the sources: each is without one tenant predicate. Where the predicates are is found
 * out from the sources, so that a new statement brings its own mutants.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dir, '..', '..', '..');

/** One change to one source file. */
export interface Mutant {
	/** The file, the statement, and what is taken out. */
	name: string;
	path: string;
	/** Where in the file's text. */
	start: number;
	end: number;
	replacement: string;
}

const ASKED_AGAIN =
	'It names tenants to look at that have nothing to prune: what is pruned is decided in the change, by a statement with the tenant.';
const LEFT_BEHIND =
	'It says how much of a deleted room goes at once; the removal around it has the tenant. Too little may go, of a room that nobody can reach.';

const NO_SHARED_KEY =
	'It then asks whether any two tenants share a key. None do: new keys are random, and this very question keeps out the files that would bring one.';

const HASHED =
	'The hash of the key is made of the number of the tenant too: no row of another tenant has it.';

/**
 * Mutants that no client can tell from the server itself, each with the reason. Any other one that
 * survives is a hole in the tests.
 */
export const EQUIVALENT: Readonly<Record<string, string>> = {
	'src/features/rooms/store.ts find: without r.tenant = $tenant':
		'Room ids are unique across tenants, and every caller of `find` has had the id accepted by a statement with a tenant before (`access`, `byPair`): the row is the same one.',
	'src/features/rooms/store.ts nextNumber: without tenant = ?':
		'All counters then rise together and the number told is that of the oldest tenant: still new to every tenant, and a room number stands nowhere on the wire.',
	'src/features/events/store.ts due: without h.tenant = t.tenant': ASKED_AGAIN,
	'src/features/events/store.ts due: without e.tenant = h.tenant': ASKED_AGAIN,
	'src/features/events/store.ts manyOfOne: without tenant = $tenant':
		'It says in which of two ways to look for what was missed, where both find the same by statements with the tenant. The longer way is taken more often.',
	'src/features/events/store.ts someMessages: without tenant = $tenant (2)': LEFT_BEHIND,
	'src/features/events/store.ts somePositions: without tenant = $tenant (2)': LEFT_BEHIND,
	'src/features/events/store.ts someEnded: without tenant = $tenant (2)': LEFT_BEHIND,
	'src/features/members/store.ts fellows: without tenant = $tenant (2)':
		'It lists nobody for who is no member, and is asked for rooms that `smallRooms` has just found the user in; who is listed is of the tenant by the predicate around it.',
	'src/features/notifications/store.ts pending: without tenant = $tenant':
		'It says of which sends to count an attempt, and a count is added to a delivery of the tenant alone; a confirmation writes nothing more for it. Lost is a count, where the same user of another tenant has left 1,000 unconfirmed.',
	"src/features/plans/store.ts allTenants: without eq(tenants.plan, p('plan'))":
		'It names tenants whose settings are to be looked at again; those of others are found as they were.',
	'src/features/members/store.ts touchPositions: without tenant = $tenant':
		'It raises the mark of a room whose positions are then looked at; told are those that changed, by a statement with the tenant.',
	'src/features/notifications/store.ts due: without h.tenant = t.tenant': ASKED_AGAIN,
	'src/db/tenant-rows.ts values: without k.tenant = ?1': NO_SHARED_KEY,
	'src/db/tenant-rows.ts values: without k.tenant = ?1 (2)': NO_SHARED_KEY,
	'src/features/usage/store.ts end: without tenant = ?':
		'It says where a slice of rows ends that a statement with the tenant then weighs. Cut elsewhere, the slices come to the same sum.',
	'src/db/stored-answers.ts find: without tenant = ?': HASHED,
	'src/db/stored-answers.ts removeEnded: without tenant = ?': HASHED,
	'src/db/stored-answers.ts removeEnded: without tenant = ? (2)':
		'It says which answers that have ended go first, and those are not found any more; the removal around it has the tenant.',
	'src/features/users/store.ts removeEnded: without tenant = $tenant':
		'It removes the tokens that a statement with the tenant has named, by what is unique across tenants.',
	'src/features/users/store.ts removeEnded: without tenant = $tenant (2)':
		'It says which tokens that have ended go first, and those are refused wherever they lie; the removal around it has the tenant.',
};

/** What keeps tenants apart and is no comparison that stands in a statement. */
const OTHERS: readonly { path: string; name: string; pattern: RegExp; replacement: string }[] = [
	{
		path: 'src/realtime/topics.ts',
		name: 'topicOf: a name without its tenant',
		pattern: /(?<=`)\$\{tenant_id\}\/(?=\$\{)/,
		replacement: '',
	},
	...['tenant', 'plan'].map((filter) => ({
		path: 'src/features/audit/store.ts',
		name: `pageSql: without its filter of a ${filter}`,
		pattern: /a\.\$\{name\} = \$\$\{name\}/,
		replacement: `\${name === '${filter}' ? '$${filter} IS NOT NULL' : \`a.\${name} = $\${name}\`}`,
	})),
];

/** A comparison of a tenant column, in SQL or in drizzle, and what compares nothing in its place. */
const PREDICATES: readonly { pattern: RegExp; replacement: string }[] = [
	{ pattern: /\b(?:\w+\.)?tenant = \$tenant\b/g, replacement: '$tenant IS NOT NULL' },
	{ pattern: /\b(?:\w+\.)?tenant = (\?\d*)/g, replacement: '$1 IS NOT NULL' },
	{ pattern: /\b\w+\.(?:tenant = \w+\.tenant|plan = \w+\.plan)\b/g, replacement: '1 = 1' },
	{ pattern: /\beq\(\w+\.tenant(?:_id)?, p\('tenant(?:_id)?'\)\)/g, replacement: 'sql`1 = 1`' },
	// Management credentials and quotas are confined to the tenants of a plan.
	{ pattern: /\bt\.plan = (\?|\$plan)/g, replacement: '$1 IS NOT NULL' },
	{ pattern: /\beq\((?:tenants|managementKeys)\.plan, p\('plan'\)\)/g, replacement: 'sql`1 = 1`' },
];

/** Statements of commands, and why they keep to no tenant. */
const COMMANDS: Readonly<Record<string, string>> = {
	'src/db/backup.ts': 'It looks at every tenant.',
	'src/db/restore.ts': 'It gives every tenant an epoch, all of them in turn.',
	'src/db/tenant-file.ts': 'The file that it reads holds one tenant.',
};

/** Every mutant of the sources as they are. */
export function findMutants(): Mutant[] {
	const files = [...new Bun.Glob('src/**/*.ts').scanSync({ cwd: ROOT })].sort();
	const paths = files.filter((path) => !Object.hasOwn(COMMANDS, path));
	const inSql = paths.flatMap((path) => {
		const text = readFileSync(join(ROOT, path), 'utf8');
		return PREDICATES.flatMap(({ pattern, replacement }) =>
			[...text.matchAll(pattern)].map((match) =>
				mutantAt(path, text, match, match[0].replace(new RegExp(pattern.source), replacement)),
			),
		);
	});
	const others = OTHERS.map(({ path, name, pattern, replacement }) => {
		const found = pattern.exec(readFileSync(join(ROOT, path), 'utf8'));
		if (found === null) throw new Error(`${path} has no longer what is taken out: ${name}`);
		const { index: start } = found;
		return { name: `${path} ${name}`, path, start, end: start + found[0].length, replacement };
	});
	return numbered([...inSql, ...others].sort(byPlace));
}

const byPlace = (left: Mutant, right: Mutant) =>
	left.path.localeCompare(right.path) || left.start - right.start;

/** Where a statement begins: a constant, or an entry of a list of statements. */
const STATEMENT = /\bconst (\w+) =|^\t(\w+): [`']/gm;

/** Names the mutant by its statement: the last one that begins before it. */
function mutantAt(path: string, text: string, match: RegExpMatchArray, replacement: string) {
	const start = match.index ?? 0;
	const [, constant, entry] = [...text.slice(0, start).matchAll(STATEMENT)].at(-1) ?? [];
	const statement = constant ?? entry ?? '?';
	const name = `${path} ${statement}: without ${match[0]}`;
	return { name, path, start, end: start + match[0].length, replacement };
}

/** The same predicate may stand in a statement more than once. */
function numbered(mutants: Mutant[]): Mutant[] {
	const counts = new Map<string, number>();
	return mutants.map((mutant) => {
		const count = (counts.get(mutant.name) ?? 0) + 1;
		counts.set(mutant.name, count);
		return count === 1 ? mutant : { ...mutant, name: `${mutant.name} (${count})` };
	});
}
