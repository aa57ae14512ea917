/** Raw requests about a scene, and what the runtime's parser may do with them. */
import type { Answer } from '../../helpers/http.ts';
import { exchange } from '../../helpers/raw-http.ts';
import type { Server } from '../../helpers/server.ts';
import type { Scene } from './valid-requests.ts';

/** The header lines of alice. */
export const linesOf = ({ tenant }: Scene): string =>
	`X-API-Key: ${tenant.api_key}\r\nX-User-Id: alice\r\n`;

/** The answer to a request that is written by hand but for its version and host. */
export const ask = (server: Server, line: string, headers = '', body = ''): Promise<Answer> =>
	exchange(server, `${line} HTTP/1.1\r\nHost: h\r\n${headers}\r\n${body}`);

/** The answer, or undefined when the connection ended without one. */
export async function answerOrEnd(
	server: Server,
	request: string | Uint8Array,
): Promise<Answer | undefined> {
	try {
		return await exchange(server, request);
	} catch (error) {
		if (String(error).includes('ended without an answer')) return undefined;
		throw error;
	}
}

/** What the parser may do with what it does not take: a bare refusal, or none at all. */
export function parserProblems(what: string, answer: Answer | undefined): string[] {
	if (answer === undefined) return [];
	const isRefusal = [400, 413, 414, 431, 501, 505].includes(answer.status) && answer.text === '';
	return isRefusal ? [] : [`${what}: ${answer.status} ${answer.text.slice(0, 200)}`];
}
