import type { LogFolder } from './log-folder.ts';

export interface FoldingOptions {
	folder: LogFolder;
	/** How long SQLite's log is now, folded pages included. */
	logPages(): number;
	isBatchRunning(): boolean;
	/** The fold is over: batches may run again. */
	onEnd(): void;
	onDefect(error: unknown): void;
}

/** Decides when SQLite's log is folded into its file, and when batches wait for that. */
export interface Folding {
	readonly state: 'idle' | 'ahead' | 'due' | 'held';
	/** Told after each batch. */
	onBatchEnd(): void;
}

/** As many as SQLite takes by itself. The ballast must give the room that folding them needs. */
const FOLD_PAGES = 1000;

/**
 * SQLite's log begins again only when it was folded to its last page, and while batches are written it never
 * is. So it is folded twice: most of it beside the batches, and then, while they wait, what they
 * wrote meanwhile.
 *
 * @see https://sqlite.org/wal.html#avoiding_excessively_large_wal_files
 */
export function createFolding(options: FoldingOptions): Folding {
	/** `due`: it waits for the end of the running batch. */
	let state: Folding['state'] = 'idle';
	/** How long the log was when it was last folded. */
	let foldedPages = 0;

	function isDue(): boolean {
		const pages = options.logPages();
		if (pages < foldedPages) foldedPages = 0;
		return pages - foldedPages >= FOLD_PAGES;
	}

	async function foldAhead(): Promise<void> {
		state = 'ahead';
		await fold();
		state = 'due';
		if (!options.isBatchRunning()) await foldHeld();
	}

	async function foldHeld(): Promise<void> {
		state = 'held';
		await fold();
		foldedPages = options.logPages();
		state = 'idle';
		options.onEnd();
	}

	async function fold(): Promise<void> {
		try {
			await options.folder.fold();
		} catch (error) {
			// Nothing is lost: the log is part of the database, and will be folded another time.
			options.onDefect(error);
		}
	}

	return {
		get state() {
			return state;
		},
		onBatchEnd() {
			if (state === 'idle' && isDue()) void foldAhead();
			else if (state === 'due') void foldHeld();
		},
	};
}
