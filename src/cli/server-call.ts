/** How a command asks the running server: over the socket in its data directory, or at a URL with its key. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { controlSocketPath } from '../app/control-socket.ts';
import type { Settings } from '../config/settings.ts';
import type { ErrorBody } from '../core/errors.ts';
import { COMMAND_USER } from '../http/authentication.ts';
import { commandUser } from './command-user.ts';
import { CommandFailed } from './failure.ts';

export interface Call {
	method: 'GET' | 'POST';
	/** With its query. */
	path: string;
	body?: string;
	headers?: Record<string, string>;
}

/** What the server answered: its JSON, or its refusal. */
export type Reply = { status: number; body: unknown } | { status: number; error: ErrorBody };

/** Asks once. Undefined when no answer came. */
export type Ask = (call: Call) => Promise<Reply | undefined>;

export interface Where {
	url: string | undefined;
	masterKeyFile: string | undefined;
}

export interface AskedServer {
	/** What it is called where it does not answer. */
	name: string;
	ask: Ask;
}

/** @throws CommandFailed where there is no server, or no key to ask it with. */
export function serverOf(settings: Settings, { url, masterKeyFile }: Where): AskedServer {
	if (url !== undefined) {
		const base = baseOf(url);
		const key = masterKeyOf(settings, masterKeyFile);
		const askUrl = ask((path) => `${base}${path}`, { headers: { 'X-Master-Key': key } });
		return { name: `The server at ${base}`, ask: askUrl };
	}
	const unix = controlSocketPath(settings.DATA_DIR);
	if (!existsSync(unix)) {
		throw new CommandFailed(
			`No server uses the data directory ${settings.DATA_DIR}: start one, or say which with --url`,
		);
	}
	return {
		name: `The server of ${settings.DATA_DIR}`,
		ask: ask((path) => `http://chatapi${path}`, {
			...{ unix, headers: { [COMMAND_USER]: commandUser() } },
		}),
	};
}

const ask =
	(urlOf: (path: string) => string, { headers, unix }: { headers?: object; unix?: string }): Ask =>
	async ({ method, path, body, headers: own }) => {
		try {
			const response = await fetch(urlOf(path), {
				...{ method, redirect: 'error' },
				headers: { ...headers, ...own, ...(body !== undefined && JSON_BODY) },
				...(body !== undefined && { body }),
				...(unix !== undefined && { unix }),
				// As long as it takes: whether it goes on, the progress tells.
				timeout: false,
			} as RequestInit);
			const answer: unknown = await response.json();
			if (response.ok) return { status: response.status, body: answer };
			return { status: response.status, error: (answer as { error: ErrorBody }).error };
		} catch {
			// Nobody is there, the connection ended, or what answers is no server of ours.
			return undefined;
		}
	};

const JSON_BODY = { 'Content-Type': 'application/json' };

function baseOf(url: string): string {
	const parsed = URL.parse(url);
	if (parsed?.protocol !== 'http:' && parsed?.protocol !== 'https:') {
		throw new CommandFailed('--url must be an address that begins with http:// or https://');
	}
	if (parsed.username !== '' || parsed.password !== '' || parsed.search !== '') {
		throw new CommandFailed('--url must have no credentials and no query');
	}
	return parsed.href.replace(/\/+$/, '');
}

/** From the file that is named, the setting, or the data directory. */
function masterKeyOf({ MASTER_API_KEY, DATA_DIR }: Settings, file: string | undefined): string {
	if (file === undefined && MASTER_API_KEY !== '') return MASTER_API_KEY;
	const path = file ?? join(DATA_DIR, 'master.key');
	if (file === undefined && !existsSync(path)) {
		throw new CommandFailed('--url needs MASTER_API_KEY, or --master-key-file');
	}
	return readFileSync(path, 'utf8').trim();
}
