/**
 * What the operator's commands ask of a running server, over a socket in the data directory that only its
 * user can open: whoever can, could write the files themselves. Beside `/import` it is the server's own HTTP API, in
 * the operator's name.
 *
 * Lifecycle: `listen` once the server does; `stop` before the writer is drained. A command that goes away
 * takes its import with it.
 */
import { chmodSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Server } from 'bun';
import { AppError } from '../core/errors.ts';
import { runFileJob } from '../db/file-jobs.ts';
import { DatabaseRefused } from '../db/migrate.ts';
import { openTenantFile } from '../db/tenant-file.ts';
import type { Imported } from '../features/imports/service.ts';
import { requestTarget } from '../http/request-target.ts';
import type { Container } from './container.ts';

/** One line of an answer. */
export type ControlLine = { rows: number } | { done: Imported } | { error: string };

export interface ControlSocket {
	/** Ends what is running and waits for it. */
	stop(): Promise<void>;
}

export const controlSocketPath = (dataDir: string): string => join(dataDir, 'chatapi.sock');

/** How often a command hears that its work goes on. */
const LINE_EVERY_MS = 500;

interface ImportRequest {
	file: string;
	isNewEpoch: boolean;
}

interface Part extends Pick<Container, 'settings' | 'log' | 'features'> {
	masterKey: string;
	/** The HTTP API. */
	answerHttp(request: Request): Response | Promise<Response>;
}

/** Listens. Where it cannot, the server goes on without: commands then need it stopped. */
export function listenForCommands(part: Part): ControlSocket {
	const { settings, log, features } = part;
	const path = controlSocketPath(settings.DATA_DIR);
	let isStopping = false;
	const running = new Set<Promise<void>>();

	function answer({ file, isNewEpoch }: ImportRequest): Response {
		let isCancelled = false;
		const body = new ReadableStream<Uint8Array>({
			start(controller) {
				const say = (line: ControlLine) => {
					if (!isCancelled) controller.enqueue(encoder.encode(`${JSON.stringify(line)}\n`));
				};
				const work = importFile(features.imports, file, {
					isNewEpoch,
					isCancelled: () => isCancelled || isStopping,
					say,
				})
					.then((done) => say({ done }))
					.catch((error: unknown) => {
						const isExpected = error instanceof AppError || error instanceof DatabaseRefused;
						if (!isExpected) log.error({ err: error }, 'Import failed');
						say({ error: isExpected ? error.message : 'A defect: see the log of the server' });
					})
					.finally(() => {
						running.delete(work);
						if (!isCancelled) controller.close();
					});
				running.add(work);
			},
			cancel() {
				isCancelled = true;
			},
		});
		return new Response(body);
	}

	const clean = features.imports
		.removeHalfDone()
		.then((tenants) => {
			if (tenants.length > 0) log.info({ tenants }, 'Removed what a cut import had left');
		})
		.catch((error: unknown) => {
			// The disk is full, or the server stops: the next start tries again.
			if (!(error instanceof AppError)) log.error({ err: error }, 'Import not removed');
		})
		.finally(() => running.delete(clean));
	running.add(clean);
	rmSync(path, { force: true });
	let server: Server<undefined> | undefined;
	try {
		server = Bun.serve({
			unix: path,
			development: false,
			async fetch(request, listening) {
				if (requestTarget(request.url).path !== '/import') {
					// As long as it takes: a document may be large.
					listening.timeout(request, 0);
					return part.answerHttp(asOperator(request, part.masterKey));
				}
				const asked = await requestOf(request);
				return asked === undefined ? new Response(null, { status: 404 }) : answer(asked);
			},
			error: () => new Response(null, { status: 500 }),
		});
		chmodSync(path, 0o600);
	} catch (error) {
		log.warn({ err: error }, 'No socket for commands');
	}
	return {
		async stop() {
			isStopping = true;
			await Promise.all(running);
			await server?.stop(true);
			rmSync(path, { force: true });
		},
	};
}

const encoder = new TextEncoder();

/** The same request by the operator, whatever credential it came with. */
function asOperator(request: Request, masterKey: string): Request {
	const headers = new Headers(request.headers);
	headers.delete('Authorization');
	headers.set('X-Master-Key', masterKey);
	return new Request(request, { headers });
}

async function requestOf(request: Request): Promise<ImportRequest | undefined> {
	if (request.method !== 'POST') return undefined;
	const body: unknown = await request.json().catch(() => undefined);
	const { file, is_new_epoch } = (body ?? {}) as { file?: unknown; is_new_epoch?: unknown };
	if (typeof file !== 'string' || !file.startsWith('/')) return undefined;
	return { file, isNewEpoch: is_new_epoch === true };
}

export interface ImportFileOptions {
	isNewEpoch: boolean;
	isCancelled(): boolean;
	/** Told now and then that the work goes on. */
	say(line: { rows: number }): void;
}

/**
 * Checks a file on a thread of its own, and imports it.
 *
 * @throws DatabaseRefused when the file is not fit; as `import`.
 */
export async function importFile(
	imports: Container['features']['imports'],
	path: string,
	{ isNewEpoch, isCancelled, say }: ImportFileOptions,
): Promise<Imported> {
	let rows = 0;
	const timer = setInterval(() => say({ rows }), LINE_EVERY_MS);
	try {
		const [problem] = await runFileJob({ name: 'check-tenant', path });
		if (problem !== undefined) throw new DatabaseRefused(`${path} is not fit: ${problem}`);
		const file = openTenantFile(path);
		try {
			return await imports.import(file, {
				...{ isNewEpoch, isCancelled },
				onRows(count) {
					rows = count;
				},
			});
		} finally {
			file.close();
		}
	} finally {
		clearInterval(timer);
	}
}
