/** What lies at the top of the repository, and whether its migrations and its lock are complete. */

/** Everything that is kept at the top. A new entry is a decision: it is made here. */
const TOP_LEVEL: readonly string[] = [
	'.ci',
	'.dockerignore',
	'.git',
	'.github',
	'.gitignore',
	'CHANGELOG.md',
	'CONTRIBUTING.md',
	'Dockerfile',
	'LICENSE',
	'README.md',
	'SECURITY.md',
	'biome.json',
	'bunfig.toml',
	'docs',
	'drizzle',
	'drizzle.config.ts',
	'examples',
	'package-lock.json',
	'package.json',
	'src',
	'test',
	'tsconfig.json',
];

/** Entries that are neither agreed on nor ignored by git. */
export function topLevelViolations(entries: readonly string[], gitignore: string): string[] {
	const ignored = gitignore
		.split('\n')
		.map((line) => line.trim())
		.filter((line) => line !== '' && !line.startsWith('#'))
		.map((line) => new Bun.Glob(line.replace(/^\//, '').replace(/\/$/, '')));
	return entries
		.filter((entry) => !TOP_LEVEL.includes(entry) && !ignored.some((glob) => glob.match(entry)))
		.map((entry) => `${entry} is on no list of what lies at the top of the repository`);
}

interface Journal {
	entries: { idx: number; when: number; tag: string }[];
}

/**
 * What is wrong with the migrations' journal. A migration that is older by its `when` than the one
 * before it would be skipped in silence, and one that is not listed never run.
 */
export function journalViolations(journal: Journal, files: readonly string[]): string[] {
	const found: string[] = [];
	for (const [index, entry] of journal.entries.entries()) {
		const previous = journal.entries[index - 1];
		if (entry.idx !== index) found.push(`${entry.tag} is entry ${index} and says ${entry.idx}`);
		if (previous !== undefined && entry.when <= previous.when) {
			found.push(`${entry.tag} is not younger than ${previous.tag}`);
		}
		if (!files.includes(`${entry.tag}.sql`)) found.push(`${entry.tag} has no file`);
	}
	const tags = journal.entries.map(({ tag }) => `${tag}.sql`);
	found.push(
		...files.filter((file) => !tags.includes(file)).map((file) => `${file} is not listed`),
	);
	if (new Set(tags).size !== tags.length) found.push('a migration is listed twice');
	return found;
}

interface Lock {
	packages: Record<
		string,
		{
			dependencies?: Record<string, string>;
			devDependencies?: Record<string, string>;
			optionalDependencies?: Record<string, string>;
			resolved?: string;
		}
	>;
}

/**
 * Packages that the lock needs and does not hold: `npm ci` would refuse it. Those of other platforms
 * count too; npm leaves them out when it makes a lock and cannot reach them.
 */
export function lockViolations({ packages }: Lock): string[] {
	return Object.entries(packages).flatMap(([path, entry]) => {
		const needed = [entry.dependencies, entry.devDependencies, entry.optionalDependencies];
		return needed
			.flatMap((names) => Object.keys(names ?? {}))
			.filter((name) => !foldersAbove(path).some((folder) => `${folder}${name}` in packages))
			.map((name) => `${path || 'package.json'} needs ${name}, which the lock does not hold`);
	});
}

/** Where a package looks for another: `node_modules` of its own, then of every folder above. */
function foldersAbove(path: string): string[] {
	const parts = path === '' ? [] : path.split(/\/?node_modules\//).slice(1);
	return parts
		.map(
			(_, index) =>
				`node_modules/${parts.slice(0, index + 1).join('/node_modules/')}/node_modules/`,
		)
		.reverse()
		.concat('node_modules/');
}
