/**
 * The server's own sources with one defect put into them: what the checks of this folder must
 * notice. A check that passes on these would pass on anything.
 */
import { cpSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { VictimOptions } from './victim.ts';

const ROOT = join(import.meta.dir, '..', '..');

export interface Patch {
	file: string;
	/** Must stand there exactly once. */
	before: string;
	after: string;
}

/** Tells everybody, and only then, a while later, commits. */
export const ANSWERS_BEFORE_COMMIT: readonly Patch[] = [
	{
		file: 'src/db/writer.ts',
		before: 'connection.commit.run();',
		after: `announce(mine);
			await new Promise((resolve) => setTimeout(resolve, 20));
			connection.commit.run();`,
	},
	{
		file: 'src/db/writer.ts',
		before: 'finish(mine, () => announce(mine));',
		after: 'finish(mine, () => {});',
	},
];

/** Commits without a sync. */
export const COMMITS_WITHOUT_SYNC: readonly Patch[] = [
	{
		file: 'src/app/persistence.ts',
		before: "settings.DURABILITY === 'full' ?",
		after: "settings.DURABILITY !== 'full' ?",
	},
];

/** Begins a sync, and tells everybody before it has ended. */
export const ANSWERS_WHILE_IT_SYNCS: readonly Patch[] = [
	{ file: 'src/db/log-sync.ts', before: 'if (away > 0) {', after: 'if (true) {' },
	{
		file: 'src/db/log-sync.ts',
		before: '(error) => done(error ?? undefined));',
		after: '() => {}); done();',
	},
];

/** Closes every connection as the first thing of a stop. */
export const CUTS_BEFORE_IT_DRAINS: readonly Patch[] = [
	{
		file: 'src/app/lifecycle.ts',
		before: 'void server.stop();',
		after: 'await server.stop(true);',
	},
];

/** Tells the rooms what a change said, and everything behind it, before a removed member's sockets leave. */
export const PUBLISHES_BEFORE_EFFECTS: readonly Patch[] = [
	{
		file: 'src/db/writer.ts',
		before: "options.apply(effects, 'before');",
		after: "setImmediate(() => options.apply(effects, 'before'));",
	},
];

/** Takes no notice of where a stay in a room has ended when it is read back. */
export const RESUMES_BEYOND_REMOVAL: readonly Patch[] = [
	{
		file: 'src/features/events/service/missed.ts',
		before: 'Math.min(through, left_cursor ?? through)',
		after: 'Math.min(through, Math.max(left_cursor ?? 0, through))',
	},
];

/** Keeps every socket open, whatever waits for it; beyond its limit the runtime drops frames. */
export const KEEPS_SLOW_READERS: readonly Patch[] = [
	{
		file: 'src/ws/gateway.ts',
		before: 'closeOnBackpressureLimit: true,',
		after: 'closeOnBackpressureLimit: false,',
	},
	{
		file: 'src/realtime/hub.ts',
		before: 'if (lagging.size === 0) setImmediate(closeLaggards);',
		after: '',
	},
];

/** Hears of a revoked key half a second after everybody was told that it is. */
export const REVOKES_LATE: readonly Patch[] = [
	{
		file: 'src/app/persistence.ts',
		before: 'generations.bumpKey(effect.tenant_id, effect.key_id);',
		after: 'setTimeout(() => generations.bumpKey(effect.tenant_id, effect.key_id), 500);',
	},
];

/** Hears of a suspension half a second after everybody was told of it. */
export const HALTS_LATE: readonly Patch[] = [
	{
		file: 'src/app/persistence.ts',
		before: 'generations.halt(halt.tenant_id, halt.why);',
		after: 'setTimeout(() => generations.halt(halt.tenant_id, halt.why), 500);',
	},
];

/** Reads what an open socket may do half a second after that is another. */
export const REGRANTS_LATE: readonly Patch[] = [
	{
		file: 'src/ws/socket.ts',
		before: 'this.grant.refresh().then(',
		after: 'Bun.sleep(500).then(() => this.grant.refresh()).then(',
	},
];

/** Takes what it knows of a tenant's limits for true half a second longer than they are. */
export const LIMITS_LATE: readonly Patch[] = [
	{
		file: 'src/app/persistence.ts',
		before: 'generations.touch(effect.tenant_id);',
		after: 'setTimeout(() => generations.touch(effect.tenant_id), 500);',
	},
];

/** Makes all that a document wants in one change, however much it is. */
export const APPLIES_IN_ONE_CHANGE: readonly Patch[] = [
	{
		file: 'src/features/configuration/service.ts',
		before: 'const ATOMIC_MAX = 100;',
		after: 'const ATOMIC_MAX = 1_000_000;',
	},
];

/** Keeps 32 KiB for every socket. */
export const KEEPS_MUCH_PER_SOCKET: readonly Patch[] = [
	{
		file: 'src/ws/gateway.ts',
		before: 'socket.attach(ws);',
		after: 'socket.attach(ws); Object.assign(socket, { kept: Buffer.alloc(32 * 1024, 1) });',
	},
];

/**
 * Copies the sources to a folder below `parent` and puts a defect into them. Returns how to run them.
 *
 * @throws when the sources have changed so that the defect does not fit any more.
 */
export function sabotaged(
	parent: string,
	patches: readonly Patch[],
): Pick<VictimOptions, 'command' | 'cwd'> {
	const cwd = mkdtempSync(join(parent, 'sabotaged-'));
	for (const name of ['src', 'drizzle', 'package.json', 'tsconfig.json']) {
		cpSync(join(ROOT, name), join(cwd, name), { recursive: true });
	}
	symlinkSync(join(ROOT, 'node_modules'), join(cwd, 'node_modules'));
	for (const { file, before, after } of patches) {
		const path = join(cwd, file);
		const parts = readFileSync(path, 'utf8').split(before);
		if (parts.length !== 2) {
			throw new Error(`${file} has ${parts.length - 1} places, not one, that read: ${before}`);
		}
		writeFileSync(path, parts.join(after));
	}
	return { command: [process.execPath, 'src/main.ts'], cwd };
}
