/** What holds for every answer and every frame, whatever was sent. */
import { leaksIn } from '../contract/bad-input/judge.ts';
import { type Answer, errorOf } from '../helpers/http.ts';

/** Something that must not be. Of the same kind is what has, most likely, the same cause. */
export interface Problem {
	kind: string;
	text: string;
}

/**
 * What is wrong with an answer to a request; undefined when the connection ended without one.
 * With `mayEnd`, the request may have been none to the runtime's parser.
 */
export function problemsOf(
	answer: Answer | undefined,
	{ mayEnd } = { mayEnd: false },
): readonly Problem[] {
	if (answer === undefined) return mayEnd ? [] : [{ kind: 'no answer', text: 'no answer' }];
	const problems: Problem[] = [];
	const { status, text } = answer;
	if (status >= 500 && !(mayEnd && status === 505)) {
		problems.push({ kind: `status ${status}`, text: `${status} ${text}` });
	}
	if (mayEnd && status >= 400 && text === '') return problems;
	if (answer.headers.get('X-Request-Id') === null) {
		problems.push({ kind: 'no X-Request-Id', text: `no X-Request-Id: ${status} ${text}` });
	}
	if (status < 400) return problems;
	try {
		errorOf(answer);
	} catch (error) {
		problems.push({ kind: 'no envelope', text: String(error) });
	}
	return [...problems, ...leaksIn(text).map((leak) => ({ kind: 'a leak', text: leak }))];
}

/** What a socket was sent, and whether every frame of it was answered as it must be. */
export interface FrameLedger {
	/** Notes a frame that is about to be sent. */
	sent(text: string): void;
	/** Whether everything that must be answered was. */
	readonly isSettled: boolean;
	/** What is wrong by now; a frame that is not answered yet is, too. */
	problems(): readonly Problem[];
	/** Notes a frame that came. */
	received(text: string): void;
}

/** The ledger of one socket. */
export function createFrameLedger(): FrameLedger {
	/** The frames of each request_id: chance may give several the same. */
	const expected = new Map<string, string[]>();
	const answers = new Map<string, number>();
	const wrong: Problem[] = [];
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
			if (frame.code === 'INTERNAL_ERROR')
				wrong.push({ kind: 'a defect', text: `a defect: ${text}` });
			const { request_id, ...rest } = frame;
			if (frame.type === 'error') {
				wrong.push(
					...leaksIn(JSON.stringify(rest)).map((leak) => ({ kind: 'a leak', text: leak })),
				);
			}
			if (request_id === undefined) namelessErrors++;
			else answers.set(request_id, answersTo(request_id) + 1);
		},
		problems() {
			const shown = (texts: string[]) => texts.join(' and ').slice(0, 600);
			const known = recognised();
			const count = `${brokenAnswered()} errors for ${broken.length} broken frames (${nameless} nameless)`;
			const missing = unanswered().map(([, texts]) => `not answered: ${shown(texts)}`);
			if (brokenAnswered() < broken.length) missing.push(count);
			const tooMany = [
				...idsWhere((sent, answered) => answered > sent).map(
					([, texts]) => `answered more than once: ${shown(texts)}`,
				),
				...strange()
					.filter((id) => !known.includes(id))
					.map((id) => `answered, but never asked: ${id}`),
			];
			if (brokenAnswered() > broken.length + nameless) tooMany.push(count);
			return [
				...wrong,
				...missing.map((text) => ({ kind: 'unanswered', text })),
				...tooMany.map((text) => ({ kind: 'too many answers', text })),
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
