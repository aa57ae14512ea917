/** The control of the fuzz tests: their checkers see what is wrong, and nothing else. */
import { describe, expect, test } from 'bun:test';
import { CANARY } from '../contract/bad-input/judge.ts';
import type { Answer } from '../helpers/http.ts';
import { createFrameLedger, problemsOf } from './checker.ts';

const answerOf = (status: number, body: unknown, headers: Record<string, string> = {}): Answer => ({
	status,
	headers: new Headers({ 'X-Request-Id': 'r1', ...headers }),
	body,
	text: JSON.stringify(body),
});

const envelope = (error: Record<string, unknown> = {}) => ({
	success: false,
	error: { code: 'NOT_FOUND', message: 'No', request_id: 'r1', retryable: false, ...error },
});

const countOf = (answer: Answer | undefined, mayEnd = false) =>
	problemsOf(answer, { mayEnd }).length;

describe('the checker of answers', () => {
	test('lets good answers and envelopes pass', () => {
		expect(countOf(answerOf(201, { room_id: 'x' }))).toBe(0);
		expect(countOf(answerOf(404, envelope()))).toBe(0);
		expect(countOf(undefined, true)).toBe(0);
		expect(countOf({ ...answerOf(431, undefined), text: '' }, true)).toBe(0);
	});

	test('sees a 5xx, a missing answer, a broken envelope, and what must not be repeated', () => {
		expect(countOf(answerOf(500, envelope({ code: 'INTERNAL_ERROR' })))).toBe(1);
		expect(countOf(answerOf(503, envelope()), true)).toBe(1);
		expect(countOf(undefined)).toBe(1);
		expect(countOf(answerOf(400, { error: 'bad' }))).toBe(1);
		expect(countOf(answerOf(400, envelope({ request_id: 'another' })))).toBe(1);
		expect(countOf({ ...answerOf(400, envelope()), headers: new Headers() })).toBe(2);
		expect(countOf(answerOf(400, envelope({ message: `not ${CANARY}` })))).toBe(1);
		expect(countOf(answerOf(400, envelope({ message: 'at f (src/x.ts:1:2)' })))).toBe(2);
	});
});

describe('the ledger of frames', () => {
	const PING = '{"type":"ping","request_id":"a"}';
	const REPLY = '{"type":"reply","request_id":"a","ok":true,"data":{}}';
	const NAMELESS = '{"type":"error","code":"VALIDATION_ERROR"}';

	const after = (sent: string[], received: string[]) => {
		const ledger = createFrameLedger();
		for (const text of sent) ledger.sent(text);
		for (const text of received) ledger.received(text);
		return { isSettled: ledger.isSettled, count: ledger.problems().length };
	};

	test('is content when everything is answered once', () => {
		const settled = { isSettled: true, count: 0 };
		expect(after([PING], ['{"type":"pong"}', REPLY])).toEqual(settled);
		expect(after(['{"type":"ping"}'], ['{"type":"pong"}'])).toEqual(settled);
		expect(after(['{"type":"nothing"}'], [NAMELESS])).toEqual(settled);
		expect(after(['{'], [NAMELESS])).toEqual(settled);
		expect(after([PING, PING], [REPLY, REPLY])).toEqual(settled);
		const broken = '{"type":"ping","request_id":"a"';
		const named = '{"type":"error","code":"VALIDATION_ERROR","request_id":"a"}';
		expect(after([broken], [NAMELESS])).toEqual(settled);
		expect(after([broken], [named])).toEqual(settled);
		expect(after([], ['{"type":"message","request_id":"b"}'])).toEqual(settled);
	});

	test('sees what is unanswered, answered twice, never asked, or a defect', () => {
		expect(after([PING], [])).toEqual({ isSettled: false, count: 1 });
		expect(after([PING], [NAMELESS])).toEqual({ isSettled: false, count: 2 });
		expect(after([PING], [REPLY, REPLY])).toEqual({ isSettled: true, count: 1 });
		expect(after([PING, PING], [REPLY])).toEqual({ isSettled: false, count: 1 });
		expect(after([PING], [REPLY, REPLY.replace('"a"', '"b"')]).count).toBe(1);
		expect(after(['{'], [])).toEqual({ isSettled: false, count: 1 });
		expect(after(['{'], [NAMELESS, NAMELESS]).count).toBe(1);
		const defect = '{"type":"error","code":"INTERNAL_ERROR","request_id":"a"}';
		expect(after([PING], [defect]).count).toBe(1);
	});
});
