/** What no source file may do, and how large one may be. */
import type { Source } from './syntax.ts';

export const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;

interface Ban {
	/** Matched against a whole use: `Date.now`, `new Date()`. */
	use: RegExp;
	/** Where it is at home. */
	except: RegExp;
	why: string;
}

const NOWHERE = /^$/;
const CLOCK = /^src\/core\/clock\.ts$/;
const RANDOMNESS = /^src\/core\/(ids|random)\.ts$/;
// production.ts is the entry's first import: it tells libraries that this is no development.
const SETTINGS = /^src\/(config\/.+|cli\/.+|main\.ts|production\.ts)$/;
const CONSOLE = /^src\/(cli\/.+|main\.ts)$/;

/** Files with a timer, each with what it waits for. A timer elsewhere needs an entry here. */
export const TIMERS: Readonly<Record<string, string>> = {
	'src/app/container.ts': 'rests between the slices of an import, and of a purge',
	'src/app/control-socket.ts': 'tells a command that its work goes on',
	'src/app/lifecycle.ts': 'looks whether a stop has drained',
	'src/cli/recording.ts': 'waits for a server that starts or stops',
	'src/cli/sending.ts': 'looks how far a document is',
	'src/cli/serve.ts': 'lets the last 503s out before the process ends',
	'src/db/backup.ts': 'looks how far a copy has grown',
	'src/db/disk-guard.ts': 'looks at the free space',
	'src/features/tenants/worker.ts': 'looks which tenants are to be erased',
	'src/features/events/worker.ts': 'pauses between slices, and between looks',
	'src/features/keys/worker.ts': 'writes down which keys were used',
	'src/features/notifications/worker.ts': 'writes how often notifications were sent',
	'src/features/presence/worker.ts': 'looks who stayed away, and rests between slices',
	'src/features/typing/worker.ts': 'ends what was not said again',
	'src/features/usage/worker.ts': 'writes what was counted',
	'src/http/refusal-pace.ts': 'answers who is refused again and again',
	'src/realtime/pacer.ts': 'tells what waited for the end of a second',
	'src/realtime/waiters.ts': 'ends a wait for events',
	'src/ws/gateway.ts': 'ends a socket with its key',
};

const BANS: readonly Ban[] = [
	{
		use: /^(Date\.now|new Date\(\)|Date\(.*\)|performance\.now|Bun\.nanoseconds|process\.hrtime(\..+)?)$/,
		except: CLOCK,
		why: 'the clock is handed in (core/clock.ts)',
	},
	{ use: /^Math\.random$/, except: NOWHERE, why: 'it is no source of ids or secrets' },
	{
		use: /^((.+\.)?(getRandomValues|randomUUID|randomUUIDv7|randomBytes|randomFillSync|randomInt))$/,
		except: RANDOMNESS,
		why: 'randomness is handed in (core/random.ts)',
	},
	{
		use: /^((process|Bun)\.env|import\.meta\.env)$/,
		except: SETTINGS,
		why: 'settings are handed in (config/)',
	},
	{ use: /^console$/, except: CONSOLE, why: 'the log is handed in (core/log.ts)' },
	{
		use: /^((.+\.)?(setTimeout|setInterval)|Bun\.sleep)$/,
		except: NOWHERE,
		why: 'a timer needs an entry in TIMERS (test/tidy/rules.ts)',
	},
];

/** Everything these sources do that is banned, as sentences that begin with `path:line`. */
export function usageViolations(
	sources: readonly Source[],
	timers: Readonly<Record<string, string>> = {},
): string[] {
	const isTimer = (name: string) => /(setTimeout|setInterval|sleep)$/.test(name);
	const found = sources.flatMap((source) =>
		source.uses.flatMap(({ name, line }) => {
			const ban = BANS.find(({ use, except }) => use.test(name) && !except.test(source.path));
			if (ban === undefined || (isTimer(name) && source.path in timers)) return [];
			return [`${source.path}:${line} uses ${name}: ${ban.why}`];
		}),
	);
	const idle = Object.keys(timers).filter((path) => {
		const source = sources.find((candidate) => candidate.path === path);
		return !source?.uses.some(({ name }) => isTimer(name));
	});
	return [...found, ...idle.map((path) => `${path}:1 is in TIMERS and has no timer`)];
}

/** Everything that is too long, ill placed, or a construct we do without. */
export function shapeViolations(sources: readonly Source[]): string[] {
	return sources.flatMap((source) => {
		const { path, text } = source;
		const lines = linesOf(text);
		const found = [
			...source.banned.map(({ name, line }) => `${path}:${line} has an ${name}`),
			...source.functions
				.filter((own) => own.lines > FUNCTION_LINES_MAX)
				.map((own) => `${path}:${own.line} ${own.name} has ${own.lines} lines of its own`),
			...unfinished(path, text),
		];
		if (lines > FILE_LINES_MAX) found.push(`${path}:1 has ${lines} lines`);
		if (/\/(utils?|common|helpers?|shared|misc|lib)\//.test(path)) {
			found.push(`${path}:1 is in a folder whose name says nothing`);
		}
		if (/\/(types|index|utils?|helpers?)\.ts$/.test(path)) {
			found.push(`${path}:1 has a name that says nothing`);
		}
		return found;
	});
}

export const linesOf = (text: string): number => text.split('\n').length - 1;

/** Notes to self, which belong into an issue. Used for tests too. */
export function unfinished(path: string, text: string): string[] {
	const notes = /\b(TO[D]O|FIX[M]E|XX[X]|HAC[K])\b/;
	return text
		.split('\n')
		.flatMap((line, index) => (notes.test(line) ? [`${path}:${index + 1} is unfinished`] : []));
}
