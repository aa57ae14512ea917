import { parseArgs } from 'node:util';

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

export interface Command {
	/** What `--help` of it prints. Its first line is the usage. */
	help: string;
	/** Told what stands behind its name. Resolves with the exit code. */
	run(args: readonly string[]): Promise<number>;
}

type Options = Readonly<Record<string, { type: 'string' | 'boolean'; short?: string }>>;

export interface Usage {
	help: string;
	options: Options;
	/** How many words without a dash it takes; or from the first number to the second. */
	words: number | readonly [min: number, max: number];
	/** Of what is no use of it. Default: 2. */
	usageExitCode?: number;
}

/** An option's text, true where it takes none, and undefined where it was not given. */
type Values<Given extends Options> = {
	readonly [Name in keyof Given]?: Given[Name]['type'] extends 'string' ? string : boolean;
};

/**
 * A command with arguments. `--help` is answered here, whatever else was typed.
 *
 * `run` rejects with a UsageError that names what is wrong: an unknown option, one without its value or with
 * one that it does not take, too few words or too many.
 */
export const command = <const Use extends Usage>(
	{ help, options, words, usageExitCode }: Use,
	run: (values: Values<Use['options']>, words: readonly string[]) => Promise<number>,
): Command => ({
	help,
	async run(args) {
		const { values, positionals, mistake } = parse(args, options);
		if (values.help === true) {
			console.log(help);
			return 0;
		}
		const [min, max] = typeof words === 'number' ? [words, words] : words;
		const extra = positionals[max];
		const problem =
			mistake ??
			(extra !== undefined ? `${JSON.stringify(extra)} is more than it takes` : undefined) ??
			(positionals.length < min ? `something is missing. ${help.split('\n')[0]}` : undefined);
		if (problem !== undefined) throw new UsageError(problem, usageExitCode);
		return run(values as Values<Use['options']>, positionals);
	},
});

function parse(args: readonly string[], known: Options) {
	const options: Options = { ...known, help: { type: 'boolean', short: 'h' } };
	// Not strict: its complaints are about JavaScript. Ours are made of the tokens.
	const parsed = parseArgs({
		...{ args: [...args], options, allowPositionals: true },
		...{ strict: false, tokens: true },
	});
	const mistakes = parsed.tokens.flatMap((token) => {
		if (token.kind !== 'option') return [];
		const type = Object.hasOwn(options, token.name) ? options[token.name]?.type : undefined;
		if (type === undefined) return [`it has no option ${token.rawName}`];
		const { value } = token;
		if (type === 'boolean') return value === undefined ? [] : [`${token.rawName} takes no value`];
		// What looks like the next option is no value, unless it was written with `=`; `-` is stdin.
		const isValue = value !== undefined && (token.inlineValue || !/^-./.test(value));
		return isValue ? [] : [`${token.rawName} needs a value`];
	});
	return { ...parsed, mistake: mistakes[0] };
}
