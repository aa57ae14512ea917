/** Prefixes of routes, and what else each is called. The one place that knows of versions. */
const ALIASES: readonly { prefix: string; alias: string }[] = [
	{ prefix: '/', alias: '/v1/' },
	// SelfMX's path of the same resource.
	{ prefix: '/admin/tenants', alias: '/v1/tenants' },
];

/** Every other path under which a route is the same route. */
export const aliasesOf = (path: string): string[] =>
	ALIASES.filter(({ prefix }) => path.startsWith(prefix)).map(
		({ prefix, alias }) => alias + path.slice(prefix.length),
	);
