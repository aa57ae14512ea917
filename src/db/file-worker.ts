/** The thread of `file-jobs.ts`: told a job, it does it, answers, and ends. */
import { checkFile, copyDatabase, type FileJob } from './file-jobs.ts';

declare const self: Worker & { close(): void };

self.onmessage = ({ data: job }: MessageEvent<FileJob>) => {
	try {
		postMessage({ value: job.name === 'copy' ? copyDatabase(job) : checkFile(job.path) });
	} catch (error) {
		const { message, code } = error as { message?: string; code?: string };
		postMessage({ error: { message, code } });
	}
	self.close();
};
