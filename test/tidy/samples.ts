import { parseSources, type Source } from './syntax.ts';

/** Sources made up for a test, by their paths. */
export const parse = (files: Record<string, string>): Promise<Source[]> =>
	parseSources(new Map(Object.entries(files)));

/** What a rule says to one line of code, which stands as the second of its file. */
export async function complaintsOf(
	rule: (sources: readonly Source[]) => string[],
	path: string,
	line: string,
): Promise<string[]> {
	return rule(await parse({ [path]: `// The line below is what counts.\n${line}\n` }));
}
