import { createInterface } from 'node:readline';

/** Whether somebody sits there who sees stderr and can type. */
export const canAsk = (): boolean => process.stdin.isTTY === true && process.stderr.isTTY === true;

/**
 * Asks on stderr, where what is asked about was printed too: stdout may be a file. Only the word `yes` is a yes. The end of
 * the input is a no; Ctrl-C ends the process.
 */
export async function saysYes(question: string): Promise<boolean> {
	process.stderr.write(`${question} Type yes: `);
	// Left in its own mode, the terminal echoes, edits the line and sends the signal.
	const lines = createInterface({ input: process.stdin, terminal: false });
	try {
		for await (const line of lines) return line.trim() === 'yes';
		process.stderr.write('\n');
		return false;
	} finally {
		lines.close();
	}
}
