import pino from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** One JSON object per line on stdout. Never given a key, a token, a header bag or a body. */
export type Log = Record<LogLevel, (fields: Record<string, unknown>, msg: string) => void>;

/** A log from `level` up. `destination` is where lines go: tests hand in their own. */
export function createLog(level: LogLevel, destination?: { write(line: string): void }): Log {
	const options: pino.LoggerOptions = {
		level,
		base: null,
		timestamp: pino.stdTimeFunctions.isoTime,
		formatters: { level: (label) => ({ level: label }) },
		serializers: { err: pino.stdSerializers.err },
	};
	return destination === undefined ? pino(options) : pino(options, destination);
}
