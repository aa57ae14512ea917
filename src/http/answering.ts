import type { Authorizer } from '../core/authorize.ts';
import type { Clock } from '../core/clock.ts';
import type { Ids } from '../core/ids.ts';
import type { Log } from '../core/log.ts';
import type { QuotaGate } from '../features/quotas/service.ts';
import type { UsageCounter } from '../features/usage/service/meter.ts';
import type { AnswerHeaders } from './answer-headers.ts';
import type { Authentication } from './authentication.ts';
import type { ErrorMapper } from './errors.ts';
import type { RefusalPace } from './refusal-pace.ts';

/** What it takes to answer a request: of a route, and of an upgrade to a WebSocket. */
export interface Answering {
	authentication: Authentication;
	authorizer: Authorizer;
	clock: Clock;
	ids: Ids;
	log: Log;
	answerHeaders: AnswerHeaders;
	errorResponse: ErrorMapper;
	/** What may be answered of what was thrown, and when; `who` is the tenant, or the address. */
	pacedRefusal: RefusalPace;
	/** The address a request counts for. */
	addressOf(request: Request): string;
	/** Told of every answer. */
	observe(operation: string, status: number, ms: number): void;
	/** Told of what tenants use. */
	usage: UsageCounter;
	/** Asked before it is counted. */
	quotas: QuotaGate;
}
