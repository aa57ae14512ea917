/** Who may import whom: `docs/architecture.md`, kept by these rules. Type-only imports count. */
import { posix } from 'node:path';
import type { Source } from './syntax.ts';

/** From the bottom up. A file may import what stands below its own layer, and within it. */
const LAYERS: readonly (readonly [layer: string, path: RegExp])[] = [
	['core', /^src\/core\/[^/]+\.ts$/],
	['config', /^src\/config\/[^/]+\.ts$/],
	['db', /^src\/db\/[^/]+\.ts$/],
	['realtime', /^src\/realtime\/[^/]+\.ts$/],
	['schema', /^src\/features\/[^/]+\/schema\.ts$/],
	['store', /^src\/features\/[^/]+\/store\.ts$/],
	['service', /^src\/features\/[^/]+\/service(\.ts|\/[^/]+\.ts)$/],
	['http', /^src\/http\/[^/]+\.ts$/],
	['ws', /^src\/ws\/[^/]+\.ts$/],
	['face', /^src\/features\/[^/]+\/(routes|frames|worker)\.ts$/],
	['app', /^src\/app\/.+\.ts$/],
	['cli', /^src\/cli\/[^/]+\.ts$/],
	// What has to be done before any library loads: the first import of main.ts.
	['production', /^src\/production\.ts$/],
	['main', /^src\/main\.ts$/],
];

/** Layers at one height, which do not know each other. */
const STRANGERS: readonly (readonly [string, string])[] = [
	['db', 'realtime'],
	['realtime', 'db'],
];

/** Which features a feature may depend on, through their `schema.ts` and `service.ts` alone. */
export const FEATURES: Readonly<Record<string, readonly string[]>> = {
	configuration: ['keys', 'plans', 'tenants'],
	connections: [],
	audit: [],
	imports: ['audit', 'presence', 'tenants'],
	keys: ['audit'],
	plans: ['audit'],
	tenants: ['audit', 'keys', 'plans'],
	members: [],
	messages: ['members'],
	rooms: ['members', 'messages'],
	receipts: ['members'],
	subscriptions: [],
	notifications: ['audit', 'members', 'subscriptions'],
	typing: ['members'],
	presence: ['members'],
	limits: [],
	usage: ['audit'],
	oversight: ['audit', 'members', 'messages', 'rooms', 'users'],
	users: [],
	quotas: [],
	events: ['members', 'messages', 'quotas', 'rooms', 'notifications', 'subscriptions'],
	status: [],
};

/** Packages that are confined to the files that are for them. */
const CONFINED: readonly { package: RegExp; to: RegExp; where: string }[] = [
	{
		package: /^(elysia|@elysiajs\/.+)$/,
		to: /^src\/(http\/|ws\/gateway\.ts|features\/[^/]+\/routes\.ts|app\/)/,
		where: 'http/, ws/gateway.ts, features/*/routes.ts and app/',
	},
	{
		package: /^(bun:sqlite|drizzle-orm(\/.+)?)$/,
		to: /^src\/(db\/|features\/[^/]+\/store\.ts|app\/container\.ts)/,
		where: 'db/, features/*/store.ts and app/container.ts',
	},
];

/** Everything wrong with what these sources import, as sentences that begin with `path:line`. */
export function importViolations(sources: readonly Source[]): string[] {
	return [...sources.flatMap(violationsOf), ...circles(sources)];
}

function violationsOf(source: Source): string[] {
	if (layerOf(source.path) === -1) return [`${source.path}:1 has no place in the layout of src/`];
	return source.imports.flatMap(({ name, line }) => {
		const problem = name.startsWith('.')
			? problemOfFile(source.path, resolve(source.path, name))
			: problemOfPackage(source.path, name);
		return problem === undefined ? [] : [`${source.path}:${line} ${problem}`];
	});
}

const layerOf = (path: string): number => LAYERS.findIndex(([, pattern]) => pattern.test(path));

const resolve = (from: string, specifier: string): string =>
	posix.normalize(posix.join(posix.dirname(from), specifier));

function problemOfPackage(from: string, name: string): string | undefined {
	const rule = CONFINED.find((confined) => confined.package.test(name));
	if (rule === undefined || rule.to.test(from)) return undefined;
	return `imports ${name}, which belongs into ${rule.where}`;
}

function problemOfFile(from: string, to: string): string | undefined {
	// What lies outside is data: a migration, package.json, a page's assets. Tests are not.
	if (!to.startsWith('src/')) {
		return to.startsWith('test/') || to.startsWith('..') ? `imports ${to}` : undefined;
	}
	if (!/\.tsx?$/.test(to)) return undefined;
	const [fromLayer, toLayer] = [layerOf(from), layerOf(to)];
	const [fromName, toName] = [LAYERS[fromLayer]?.[0], LAYERS[toLayer]?.[0]];
	if (toName === undefined) return `imports ${to}, which has no place in the layout of src/`;
	if (toLayer > fromLayer) return `imports ${to}: ${fromName} may not know ${toName}`;
	if (STRANGERS.some(([one, other]) => one === fromName && other === toName)) {
		return `imports ${to}: ${fromName} and ${toName} do not know each other`;
	}
	return problemOfFeature(from, to, toName);
}

function problemOfFeature(from: string, to: string, toName: string): string | undefined {
	const [fromFeature, toFeature] = [featureOf(from), featureOf(to)];
	if (fromFeature === undefined || toFeature === undefined || fromFeature === toFeature) {
		return undefined;
	}
	if (toName !== 'schema' && toName !== 'service') {
		return `imports ${to}: a feature knows another by its schema and its service only`;
	}
	if (FEATURES[fromFeature]?.includes(toFeature)) return undefined;
	return `imports ${to}: ${fromFeature} may not depend on ${toFeature}`;
}

const featureOf = (path: string): string | undefined => /^src\/features\/([^/]+)\//.exec(path)?.[1];

/** Every circle of imports, once, by the files on it. */
function circles(sources: readonly Source[]): string[] {
	const graph = new Map(
		sources.map(({ path, imports }) => {
			const files = imports.filter(({ name }) => name.startsWith('.'));
			return [path, files.map(({ name }) => resolve(path, name))];
		}),
	);
	const found = new Set<string>();
	const done = new Set<string>();
	const trail: string[] = [];

	function visit(path: string): void {
		const start = trail.indexOf(path);
		if (start !== -1) {
			found.add(describeCircle(trail.slice(start)));
			return;
		}
		if (done.has(path)) return;
		trail.push(path);
		for (const next of graph.get(path) ?? []) visit(next);
		trail.pop();
		done.add(path);
	}

	for (const path of graph.keys()) visit(path);
	return [...found];
}

/** The same words wherever on the circle the search began. */
function describeCircle(files: string[]): string {
	const first = files.indexOf([...files].sort()[0] as string);
	const ordered = [...files.slice(first), ...files.slice(0, first)];
	return `${ordered[0]}:1 imports itself in a circle: ${[...ordered, ordered[0]].join(' > ')}`;
}
