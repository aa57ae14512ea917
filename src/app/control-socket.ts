/**
 * What the operator's commands ask of a running server, over a socket in the data directory that only its
 * user can open: whoever can, could write the files themselves. Beside `/import` and `/copies`, which records what
 * a command took out by itself, it is the server's own HTTP API, in the operator's name.
 *
 * Lifecycle: `listen` once the server does; `stop` before the writer is drained. A command that goes away
 * takes its import with it.
 */
import { chmodSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Server } from 'bun';
import { commandCredential } from '../core/caller.ts';
import { AppError } from '../core/errors.ts';
import { requireFile } from '../db/backup.ts';
import { runFileJob } from '../db/file-jobs.ts';
import { DatabaseRefused } from '../db/migrate.ts';
import { openTenantFile } from '../db/tenant-file.ts';
import type { Copy } from '../features/audit/service/copies.ts';
import type { Recorded } from '../features/audit/service.ts';
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
	by: Recorded;
}

interface CopyRequest {
	copy: Copy;
	by: Recorded;
}

type Parts = 'settings' | 'log' | 'ids' | 'features' | 'commandKey' | 'recordCopy';

interface Part extends Pick<Container, Parts> {
	/** The HTTP API. */
	answerHttp(request: Request): Response | Promise<Response>;
}

/** Listens. Where it cannot, the server goes on without: commands then need it stopped. */
export function listenForCommands(part: Part): ControlSocket {
	const { settings, log, features, ids } = part;
	const path = controlSocketPath(settings.DATA_DIR);
	let isStopping = false;
	const running = new Set<Promise<void>>();

	function answerImport({ file, isNewEpoch, by }: ImportRequest): Response {
		let isCancelled = false;
		const body = new ReadableStream<Uint8Array>({
			start(controller) {
				const say = (line: ControlLine) => {
					if (!isCancelled) controller.enqueue(encoder.encode(`${JSON.stringify(line)}\n`));
				};
				const work = importFile(features.imports, file, {
					...{ by, isNewEpoch },
					isCancelled: () => isCancelled || isStopping,
					say,
				})
					.then((done) => say({ done }))
					.catch((error: unknown) => {
						say({ error: sentenceOf(error, 'Import failed') });
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

	/** What a command is told; what it is not to be told is logged. */
	function sentenceOf(error: unknown, what: string): string {
		if (error instanceof AppError || error instanceof DatabaseRefused) return error.message;
		log.error({ err: error }, what);
		return 'A defect: see the log of the server';
	}

	async function answerCopy({ copy, by }: CopyRequest): Promise<Response> {
		try {
			await part.recordCopy(by, copy);
			return Response.json({});
		} catch (error) {
			return Response.json({ error: sentenceOf(error, 'Copy not recorded') });
		}
	}

	/** Undefined for what none of our commands asks. */
	async function answerOwn(path: string, request: Request): Promise<Response | undefined> {
		const asked = request.method === 'POST' ? await bodyOf(request) : undefined;
		if (asked === undefined) return undefined;
		const by = { credential: commandCredential(asked.user), plan: null, request_id: ids('req') };
		if (path === '/copies') {
			const copy = copyOf(asked);
			return copy === undefined ? undefined : answerCopy({ copy, by });
		}
		const { file } = asked;
		if (!isPath(file)) return undefined;
		return answerImport({ file, isNewEpoch: asked.is_new_epoch === true, by });
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
				const { path } = requestTarget(request.url);
				if (path !== '/import' && path !== '/copies') {
					// As long as it takes: a document may be large.
					listening.timeout(request, 0);
					return part.answerHttp(asCommand(request, part.commandKey));
				}
				return (await answerOwn(path, request)) ?? new Response(null, { status: 404 });
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

/** The same request by the operator at the command line, whatever credential it came with. */
function asCommand(request: Request, commandKey: string): Request {
	const headers = new Headers(request.headers);
	headers.delete('Authorization');
	headers.set('X-Master-Key', commandKey);
	return new Request(request, { headers });
}

type Asked = Record<string, unknown>;

/** Undefined for what is no JSON object. */
async function bodyOf(request: Request): Promise<Asked | undefined> {
	const body: unknown = await request.json().catch(() => undefined);
	return typeof body === 'object' && body !== null ? (body as Asked) : undefined;
}

/** As long as paths get. */
const PATH_LENGTH_MAX = 4096;

const isPath = (value: unknown): value is string =>
	typeof value === 'string' && value.startsWith('/') && value.length <= PATH_LENGTH_MAX;

/** Undefined for what is no copy that a command makes beside a server. */
function copyOf({ action, tenant_id, file, bytes, sha256 }: Asked): Copy | undefined {
	const isOfTenant = action === 'tenants.export' && typeof tenant_id === 'string';
	const isOfAll = action === 'backups.create' && tenant_id === null;
	const isDigest = typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256);
	if (!(isOfTenant || isOfAll) || !isPath(file) || !isDigest) return undefined;
	if (!Number.isSafeInteger(bytes)) return undefined;
	return { action, tenant_id: tenant_id as Copy['tenant_id'], file, bytes: Number(bytes), sha256 };
}

export interface ImportFileOptions {
	/** Whoever asked for it, as the audit log names them. */
	by: Recorded;
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
	{ by, isNewEpoch, isCancelled, say }: ImportFileOptions,
): Promise<Imported> {
	let rows = 0;
	const timer = setInterval(() => say({ rows }), LINE_EVERY_MS);
	try {
		const [problem] = await runFileJob({ name: 'check-tenant', path: requireFile(path) });
		if (problem !== undefined) throw new DatabaseRefused(`${path} is not fit: ${problem}`);
		const [sha256 = ''] = await runFileJob({ name: 'digest', path });
		const file = openTenantFile(path);
		try {
			return await imports.import(file, {
				...{ by, isNewEpoch, isCancelled, source: { file: path, sha256 } },
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
