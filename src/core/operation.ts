import type { Static, TObject, TSchema } from '@sinclair/typebox';
import type { Actor } from './caller.ts';
import type { ErrorCode } from './errors.ts';
import type { Feature } from './features.ts';
import type { Permission } from './permissions.ts';

interface OperationBase<Input extends TObject, Output extends TSchema> {
	/** `noun.verb`, the noun in the plural: metrics label, log field, and `operationId` of the docs. */
	name: `${string}.${string}`;
	/** One line of the docs page. */
	summary: string;
	/** What the summary leaves out: Markdown. */
	description?: string;
	/** Everything the operation is told: path, query and body together. Every field is bounded. */
	input: Input;
	output: Output;
	/** The codes it can answer beyond those of every operation of its actor; see `errorsOf`. */
	errors: readonly ErrorCode[];
	/** It may come with an `Idempotency-Key`. */
	isRepeatable?: true;
	/** Its answer holds a secret: a repeat is answered to the API key that asked first, and to no other. */
	hasSecret?: true;
	/** The largest body it takes, in bytes. Default: MAX_BODY_BYTES. */
	bodyBytesMax?: number;
	/** Fields that stand in the query even where there is a body. */
	inQuery?: readonly string[];
	/** Its output has a `version`, which is its `ETag`; as a change it heeds `If-Match`. */
	isVersioned?: true;
	/** Shown on the docs page, and checked against the schemas by a test. */
	example: { input: Static<Input>; output: Static<Output> };
}

/** Of the actors, those with a tenant's credential. */
type TenantActor = 'user' | 'tenant' | 'any';

interface TenantPart<Who extends TenantActor> {
	actor: Who;
	isMasterOnly?: never;
	permission: Permission;
	/** What the tenant itself needs in the place of `permission`; for frames, where it is known by then. */
	permission_as_tenant?: Permission;
	/** A user with a token of their own needs no permission for it: it is about themselves. */
	isOpenToUser?: true;
	/** Tokens it takes from the tenant's request bucket. */
	cost: number;
	/** The same when it comes as a frame, where the frame limit bounds it already. Default: `cost`. */
	frame_cost?: number;
	/** Not refused for a quota, so that a tenant can see what is used up. */
	isAboveQuota?: true;
	/** The feature it is part of, which the plan of a tenant may switch off. */
	feature?: Feature;
}

/**
 * One thing a client can ask for, over whichever face. Its schemas serve as HTTP validation,
 * OpenAPI entry and frame check; its name as metrics label and log field.
 */
export type Operation<
	Input extends TObject = TObject,
	Output extends TSchema = TSchema,
	Who extends Actor = Actor,
> = OperationBase<Input, Output> &
	(Who extends TenantActor
		? TenantPart<Who>
		: {
				actor: Who;
				/** Not for management credentials, which are confined to a plan. */
				isMasterOnly?: true;
				permission?: never;
				permission_as_tenant?: never;
				isOpenToUser?: never;
				cost?: never;
				frame_cost?: never;
				isAboveQuota?: never;
				feature?: never;
			});

export type InputOf<Op> = Op extends OperationBase<infer Input, TSchema> ? Static<Input> : never;
export type OutputOf<Op> = Op extends OperationBase<TObject, infer Output> ? Static<Output> : never;

/** Checks an operation's declaration and keeps its exact types. */
export const defineOperation = <Input extends TObject, Output extends TSchema, Who extends Actor>(
	operation: Operation<Input, Output, Who>,
): Operation<Input, Output, Who> => operation;

/** Whether quotas can refuse it to a tenant: all but what shows them. */
export const isUnderQuota = ({ permission, isAboveQuota }: Operation): boolean =>
	permission !== undefined && isAboveQuota !== true;

const EVERY_OPERATION: readonly ErrorCode[] = ['VALIDATION_ERROR', 'INTERNAL_ERROR', 'UNAVAILABLE'];

/** What a face adds to an operation's own errors. */
export interface Binding {
	/** It reads a body. */
	hasBody: boolean;
	/** It may write. */
	isWrite: boolean;
	/** It may come with an `Idempotency-Key`. */
	isRepeatable?: boolean;
	/** It may come with `If-Match`. */
	heedsVersion?: boolean;
}

/** Whether an `Idempotency-Key` counts: on every change of the operator, and on a POST that declares it. */
export const isRepeatableAt = (method: string, operation: Operation): boolean =>
	operation.actor === 'operator'
		? method !== 'GET'
		: method === 'POST' && operation.isRepeatable === true;

/** Whether `If-Match` counts: on every change of what has a version. */
export const heedsVersionAt = (method: string, { isVersioned }: Operation): boolean =>
	isVersioned === true && (method === 'PUT' || method === 'PATCH');

/** Every code an operation can answer when bound like this. */
export function errorsOf(
	operation: Operation,
	{ hasBody, isWrite, isRepeatable, heedsVersion }: Binding,
): ErrorCode[] {
	const codes = new Set<ErrorCode>([...EVERY_OPERATION, ...operation.errors]);
	if (operation.actor !== 'visitor') codes.add('AUTHENTICATION_ERROR').add('RATE_LIMIT_EXCEEDED');
	if (operation.permission !== undefined || operation.isMasterOnly === true) {
		codes.add('AUTHORIZATION_ERROR');
	}
	if (isUnderQuota(operation)) codes.add('QUOTA_EXCEEDED');
	if (hasBody) codes.add('PAYLOAD_TOO_LARGE').add('UNSUPPORTED_MEDIA_TYPE');
	if (isWrite) codes.add('INSUFFICIENT_STORAGE');
	if (isRepeatable === true) codes.add('CONFLICT');
	if (heedsVersion === true) codes.add('PRECONDITION_FAILED');
	return [...codes];
}
