/** The thread of `file-jobs.ts`: told a job, it does it, answers, and ends. */
import { doFileJob, type Failure, type FileJob } from './file-jobs.ts';
import { DatabaseRefused, refusalOf } from './migrate.ts';

declare const self: Worker & { close(): void };

self.onmessage = async ({ data: job }: MessageEvent<FileJob>) => {
	try {
		postMessage({ value: await doFileJob(job) });
	} catch (thrown) {
		const isFull = String((thrown as { code?: string }).code).startsWith('SQLITE_FULL');
		const error = isFull
			? new DatabaseRefused('The disk is full')
			: refusalOf(thrown, 'path' in job ? job.path : job.from);
		const { message, code } = error as { message: string; code?: string };
		const failure: Failure = { message, code, isRefusal: error instanceof DatabaseRefused };
		postMessage({ error: failure });
	}
	self.close();
};
