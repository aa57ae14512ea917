import { systemClock } from '../core/clock.ts';
import type { OutputOf } from '../core/operation.ts';
import type { getProgress } from '../features/configuration/schema.ts';
import type { Applied } from './difference.ts';
import type { ConfigurationFile, ReadDocument } from './document.ts';
import { CommandFailed } from './failure.ts';
import type { Ask, AskedServer, Reply } from './server-call.ts';

type Progress = OutputOf<typeof getProgress>;

export interface Sending {
	server: AskedServer;
	document: ReadDocument;
	isQuiet: boolean;
}

export interface Request {
	query: string;
	body: ConfigurationFile & { prune_ids?: readonly string[] };
	/** The same one again is answered what the first was. Without one it is asked once. */
	idempotencyKey?: string;
	/** Its first attempt was made before, and may be at work still. */
	isResumed?: boolean;
}

/** How long a server may be away, before it is given up: a restart. */
const AWAY_MS_MAX = 30_000;
const LOOK_EVERY_MS = 500;
/** Short work says nothing; long work says a line now and then. */
const LINE_EVERY_MS = 2000;

/**
 * Sends a document, and says on stderr how far it is. What was lost with a connection is asked for again, under
 * the same key: it is not done twice, and secrets of new keys are told.
 *
 * That the server is there was asked before: whatever is lost here may have been begun.
 *
 * @throws CommandFailed with the place in the file, or with how to go on.
 */
export async function send(
	{ server, document, isQuiet }: Sending,
	request: Request,
): Promise<Applied> {
	const { ask } = server;
	const { query, body, idempotencyKey, isResumed = false } = request;
	const text = JSON.stringify(body);
	const headers = idempotencyKey === undefined ? {} : { 'Idempotency-Key': idempotencyKey };
	/** When it was last known to be there; undefined while it is. */
	let lostAt: number | undefined;
	for (let attempt = 1; ; attempt++) {
		const sent = ask({ method: 'POST', path: `/admin/apply${query}`, body: text, headers });
		const reply = await watching(sent, isQuiet ? undefined : ask);
		if (reply !== undefined && !('error' in reply)) return reply.body as Applied;
		const isBusy = (attempt > 1 || isResumed) && isAnotherRunning(reply);
		const isAway = reply === undefined || reply.status === 503;
		if (reply !== undefined && !isBusy && !isAway) throw refusal(reply, document);
		const now = systemClock.monotonic();
		// The first of these is still at work; else it is away, since the first that was lost.
		lostAt = isBusy ? undefined : (lostAt ?? now);
		const isOver = lostAt !== undefined && now - lostAt > AWAY_MS_MAX;
		if (idempotencyKey === undefined || isOver) throw lost(server.name, reply, idempotencyKey);
		await Bun.sleep(LOOK_EVERY_MS);
	}
}

const isAnotherRunning = (reply: Reply | undefined): boolean =>
	reply !== undefined &&
	'error' in reply &&
	reply.error.code === 'CONFLICT' &&
	reply.error.field === undefined;

function refusal(reply: Reply, { placeOf }: ReadDocument): CommandFailed {
	const { message, field } = 'error' in reply ? reply.error : { message: 'no answer' };
	if (field === undefined) return new CommandFailed(message);
	return new CommandFailed(`${placeOf(field)}: ${field}: ${message}`);
}

function lost(name: string, reply: Reply | undefined, key: string | undefined): CommandFailed {
	const isRefused = reply !== undefined && 'error' in reply;
	const why = isRefused ? `: ${reply.error.message}` : ' does not answer';
	const how = key === undefined ? '' : `. What it made until then stays; to go on: --resume ${key}`;
	return new CommandFailed(`${name}${why}${how}`);
}

/** Waits for an answer; while that takes long, says how far it is. */
async function watching<Value>(answer: Promise<Value>, ask: Ask | undefined): Promise<Value> {
	let isDone = false;
	const end = answer.finally(() => {
		isDone = true;
	});
	const ticks = async () => {
		let saidAt = systemClock.monotonic();
		while (!isDone) {
			await Promise.race([end, Bun.sleep(LOOK_EVERY_MS)]);
			const now = systemClock.monotonic();
			if (isDone || ask === undefined || now - saidAt < LINE_EVERY_MS) continue;
			saidAt = now;
			const reply = await ask({ method: 'GET', path: '/admin/apply' });
			if (reply === undefined || 'error' in reply || isDone) continue;
			const { state, done, total } = reply.body as Progress;
			if (state !== 'idle') console.error(`${state}: ${done} of ${total}`);
		}
	};
	await Promise.all([end, ticks()]);
	return end;
}
