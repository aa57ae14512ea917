import { version } from '../../package.json';
import { command } from './arguments.ts';

export { version };

const usage = {
	help: `Usage: chatapi version

Prints the version of this executable.`,
	options: {},
	words: 0,
} as const;

export const printVersion = command(usage, async () => {
	console.log(version);
	return 0;
});
