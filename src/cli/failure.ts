/** A command could not do its work: one sentence for the operator, on stderr. */
export class CommandFailed extends Error {
	override readonly name = 'CommandFailed';
}

/** What the system says of a path that it was given, as people say it. */
const SENTENCES: Readonly<Record<string, string>> = {
	ENOENT: 'is not there',
	ENOTDIR: 'is not there: something on the way to it is no directory',
	EISDIR: 'is a directory, not a file',
	EACCES: 'may not be opened by this user',
	EPERM: 'may not be opened by this user',
	EROFS: 'is on a file system that can only be read',
	ENOSPC: 'cannot be written: the disk is full',
};

/** The sentence for an error of the file system about a path; undefined for any other error. */
export function sentenceOfFileError(error: unknown): string | undefined {
	if (!(error instanceof Error && 'syscall' in error && 'path' in error)) return undefined;
	const sentence = SENTENCES[String((error as { code?: unknown }).code)];
	return sentence === undefined ? error.message : `${error.path} ${sentence}`;
}
