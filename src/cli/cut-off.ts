/** What a command is ended with by whoever typed it, or by who runs it; its exit code is 128 and the number. */
const NUMBERS = { SIGINT: 2, SIGTERM: 15 } as const;
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Runs something that is worth some last words when a signal cuts it off, such as how to go on. */
export async function sayingWhenCutOff<Value>(
	lastWords: () => string,
	run: () => Promise<Value>,
): Promise<Value> {
	function cutOff(signal: (typeof SIGNALS)[number]): void {
		process.stderr.write(`chatapi: ${lastWords()}\n`);
		process.exit(128 + NUMBERS[signal]);
	}
	for (const signal of SIGNALS) process.on(signal, cutOff);
	try {
		return await run();
	} finally {
		for (const signal of SIGNALS) process.off(signal, cutOff);
	}
}
