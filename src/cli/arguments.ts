import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';

/** What was typed is no use of the command: one sentence, and an exit code. */
export class UsageError extends Error {
	override readonly name = 'UsageError';

	constructor(
		message: string,
		readonly exitCode: number = 2,
	) {
		super(message);
	}
}

/** A command, told what stands behind its name. Resolves with the exit code. */
export type Command = (args: readonly string[]) => Promise<number>;

export interface Usage {
	/** What `--help` of the command prints. Its first line is the usage. */
	help: string;
	options: ParseArgsOptionsConfig;
	/** How many words without a dash it takes. */
	words: number;
	/** Of what is no use of it. Default: 2. */
	usageExitCode?: number;
}

/** An option's text, true where it takes none, and undefined where it was not given. */
type Values<Options extends ParseArgsOptionsConfig> = {
	readonly [Name in keyof Options]?: Options[Name]['type'] extends 'string' ? string : boolean;
};

/**
 * A command with arguments. `--help` is answered here.
 *
 * @throws UsageError for an unknown option, and too few or too many words.
 */
export const command =
	<const Use extends Usage>(
		{ help, options, words, usageExitCode }: Use,
		run: (values: Values<Use['options']>, words: readonly string[]) => Promise<number>,
	): Command =>
	async (args) => {
		const { values, positionals } = parse(args, options, usageExitCode);
		if (values.help === true) {
			console.log(help);
			return 0;
		}
		if (positionals.length !== words) {
			throw new UsageError(help.split('\n')[0] ?? '', usageExitCode);
		}
		return run(values as Values<Use['options']>, positionals);
	};

function parse(args: readonly string[], options: ParseArgsOptionsConfig, exitCode?: number) {
	try {
		return parseArgs({
			args: [...args],
			options: { ...options, help: { type: 'boolean', short: 'h' } },
			allowPositionals: true,
		});
	} catch (error) {
		throw new UsageError((error as Error).message, exitCode);
	}
}
