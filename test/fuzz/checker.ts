/** What holds for every answer and every frame, whatever was sent. Gathers what does not. */
import { leaksIn } from '../contract/bad-input/judge.ts';
import { type Answer, errorOf } from '../helpers/http.ts';

export interface Checker {
	/** Everything that was wrong, with what it was the answer to; the first hundred of it. */
	readonly violations: readonly string[];
	/** How many answers had each status. */
	readonly statuses: ReadonlyMap<number, number>;
	/** An answer to a request; undefined when the connection ended without one. */
	answer(what: string, answer: Answer | undefined, options?: { mayEnd: boolean }): void;
}

const VIOLATIONS_MAX = 100;

export function createHttpChecker(): Checker {
	const violations: string[] = [];
	const statuses = new Map<number, number>();
	const report = (what: string, problem: string) => {
		if (violations.length < VIOLATIONS_MAX) violations.push(`${problem}: ${what.slice(0, 600)}`);
	};
	return {
		violations,
		statuses,
		answer(what, answer, { mayEnd } = { mayEnd: false }) {
			statuses.set(answer?.status ?? 0, (statuses.get(answer?.status ?? 0) ?? 0) + 1);
			if (answer === undefined) {
				if (!mayEnd) report(what, 'no answer');
				return;
			}
			const { status, text } = answer;
			if (status >= 500 && !(mayEnd && status === 505)) report(what, `${status} ${text}`);
			if (mayEnd && status >= 400 && text === '') return;
			if (answer.headers.get('X-Request-Id') === null) report(what, 'no X-Request-Id');
			if (status < 400) return;
			try {
				errorOf(answer);
			} catch (error) {
				report(what, String(error));
			}
			for (const leak of leaksIn(text)) report(what, leak);
		},
	};
}

/** What a socket was sent, and whether every frame of it was answered as it must be. */
export interface FrameLedger {
	/** Notes a frame that is about to be sent. */
	sent(text: string): void;
	/** Whether everything that must be answered was. */
	readonly isSettled: boolean;
	/** What is wrong by now; a frame that is not answered yet is, too. */
	violations(): string[];
	/** Notes a frame that came. */
	received(text: string): void;
}

/** The ledger of one socket. */
export function createFrameLedger(): FrameLedger {
	/** The frames of each request_id: chance may give several the same. */
	const expected = new Map<string, string[]>();
	const answers = new Map<string, number>();
	const wrong: string[] = [];
	/** Frames that no JSON parser finds a usable request_id in, and that must be an error. */
	const broken: string[] = [];
	/** Frames without any. */
	let nameless = 0;
	let namelessErrors = 0;
	const strange = () => [...answers.keys()].filter((id) => !expected.has(id));
	/** Of a broken frame the server may recognise the id all the same: that is an answer as well. */
	const recognised = () =>
		strange().filter((id) => broken.some((text) => text.includes(JSON.stringify(id))));
	const brokenAnswered = () => namelessErrors + recognised().length;
	const answersTo = (id: string) => answers.get(id) ?? 0;
	const idsWhere = (isWrong: (sent: number, answered: number) => boolean) =>
		[...expected].filter(([id, texts]) => isWrong(texts.length, answersTo(id)));
	const unanswered = () => idsWhere((sent, answered) => answered < sent);

	return {
		sent(text) {
			const id = requestIdIn(text);
			if (id.kind === 'given') expected.set(id.value, [...(expected.get(id.value) ?? []), text]);
			else if (id.kind === 'unusable') broken.push(text);
			else nameless++;
		},
		get isSettled() {
			return unanswered().length === 0 && brokenAnswered() >= broken.length;
		},
		received(text) {
			const frame = JSON.parse(text);
			if (frame.type !== 'reply' && frame.type !== 'error') return;
			if (frame.code === 'INTERNAL_ERROR') wrong.push(`a defect: ${text}`);
			const { request_id, ...rest } = frame;
			if (frame.type === 'error') wrong.push(...leaksIn(JSON.stringify(rest)));
			if (request_id === undefined) namelessErrors++;
			else answers.set(request_id, answersTo(request_id) + 1);
		},
		violations() {
			const twice = idsWhere((sent, answered) => answered > sent);
			const shown = (texts: string[]) => texts.join(' and ').slice(0, 600);
			const known = recognised();
			const isCounted =
				brokenAnswered() >= broken.length && brokenAnswered() <= broken.length + nameless;
			return [
				...wrong,
				...unanswered().map(([, texts]) => `not answered: ${shown(texts)}`),
				...twice.map(([, texts]) => `answered more than once: ${shown(texts)}`),
				...strange()
					.filter((id) => !known.includes(id))
					.map((id) => `answered, but never asked: ${id}`),
				...(isCounted
					? []
					: [
							`${brokenAnswered()} errors for ${broken.length} broken frames (${nameless} nameless)`,
						]),
			];
		},
	};
}

type RequestId = { kind: 'given'; value: string } | { kind: 'none' } | { kind: 'unusable' };

/** How a frame must be answered, by the contract alone: under its request_id if it has a usable one. */
function requestIdIn(text: string): RequestId {
	let frame: unknown;
	try {
		frame = JSON.parse(text);
	} catch {
		return { kind: 'unusable' };
	}
	if (typeof frame !== 'object' || frame === null || Array.isArray(frame)) {
		return { kind: 'unusable' };
	}
	const { request_id } = frame as { request_id?: unknown };
	if (request_id === undefined) return { kind: 'none' };
	const isUsable =
		typeof request_id === 'string' &&
		request_id.length >= 1 &&
		request_id.length <= 64 &&
		request_id.isWellFormed() &&
		!request_id.includes('\0');
	return isUsable ? { kind: 'given', value: request_id } : { kind: 'unusable' };
}
