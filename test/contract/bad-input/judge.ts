/** What every refusal must be, whatever was sent: one envelope, and nothing of the input in it. */
import { type Answer, errorOf } from '../../helpers/http.ts';
import type { Server } from '../../helpers/server.ts';
import { typesOf } from '../../helpers/socket.ts';
import { createGroup, createTenant, type Operated, sendMessage } from '../../helpers/tenants.ts';

/** Stands in bad values, in letters that every kind of field could hold. Never in a field's name. */
export const CANARY = 'canary7Gq2xW9';
/** The same for numbers. */
export const CANARY_NUMBER = 7_316_498_025;

/** What no client may read: parts of stack traces, of our files, of the database's own messages. */
const INNARDS = [
	/\bat \S+ \(.*:\d+:\d+\)/,
	/\.ts\b:?\d*/,
	/node_modules|\$bunfs/,
	/SQLITE|sqlite/,
	/\b(Type|Syntax|Range|Reference)Error\b/,
];

export interface Refusal {
	statuses: readonly number[];
	/** What must be named in `field`, as a name or as the beginning of a pointer. */
	field?: string;
}

/** Everything that is wrong with this answer to a bad request, as sentences. */
export function problemsOf(answer: Answer, expected: Refusal): string[] {
	const problems = leaksIn(answer.text + JSON.stringify([...answer.headers]));
	if (!expected.statuses.includes(answer.status)) {
		problems.push(`answers ${answer.status}, not ${expected.statuses.join(' or ')}`);
	}
	if (answer.headers.get('X-Request-Id') === null) problems.push('has no X-Request-Id');
	if (answer.status < 400) return problems;
	try {
		const { field, message } = errorOf(answer);
		if (message === '') problems.push('says nothing');
		// The schema library's own words, and patterns: for nobody who reads an API's answers.
		if (/^Expected (?!a WebSocket)|\^.*\$/.test(message)) problems.push(`says: ${message}`);
		if (expected.field !== undefined && !isAbout(field, expected.field)) {
			problems.push(`names the field ${field}, not ${expected.field}`);
		}
	} catch (error) {
		problems.push(String(error));
	}
	return problems;
}

const isAbout = (field: string | undefined, name: string): boolean =>
	field === name || field?.startsWith(`/${name}/`) === true;

/** Everything in this text that must not be there. */
export function leaksIn(text: string): string[] {
	const values = [CANARY, String(CANARY_NUMBER)].filter((value) => text.includes(value));
	const innards = INNARDS.filter((pattern) => pattern.test(text)).map(String);
	return [...values, ...innards].map((what) => `repeats ${what} in ${text.slice(0, 300)}`);
}

/** Somebody else, who must not notice anything. */
export interface Bystander {
	/** Everything that went otherwise than on a quiet day, as sentences. */
	problems(): Promise<string[]>;
	close(): Promise<void>;
}

/** A tenant of its own with an open socket. */
export async function createBystander(server: Operated): Promise<Bystander> {
	const tenant = await createTenant(server, { name: 'Bystander' });
	const { room_id } = await createGroup(tenant, 'carol', ['dave']);
	const socket = await tenant.socket('dave');
	let sent = 0;
	return {
		async problems() {
			if (!socket.isOpen) return ['the socket of a bystander was closed'];
			await sendMessage(tenant, 'carol', room_id, `message ${++sent}`);
			await socket.settle();
			const types = typesOf(socket).filter((type) => type !== 'pong');
			const quiet = ['connected', ...Array.from({ length: sent }, () => 'message')];
			return types.join() === quiet.join() ? [] : [`the bystander saw ${types.slice(-5).join()}`];
		},
		close: async () => void (await socket.close()),
	};
}

/** What the log must not hold: nothing of the input, and no defect. */
export const problemsInLog = (server: Server): string[] =>
	server.log().flatMap((line) => {
		const text = JSON.stringify(line);
		const values = [CANARY, String(CANARY_NUMBER)].filter((value) => text.includes(value));
		const isDefect = line.level === 'error';
		return values.length > 0 || isDefect ? [`in the log: ${text.slice(0, 500)}`] : [];
	});
