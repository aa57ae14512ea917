import { AppError } from './errors.ts';

/**
 * Whether a thing is still the version that the caller has seen, where the caller says which. Called in the
 * change, where nobody else can come between.
 *
 * @throws `PRECONDITION_FAILED`.
 * @see https://www.rfc-editor.org/rfc/rfc9110#name-if-match
 */
export function requireVersion(
	{ ifMatch }: { ifMatch?: readonly number[] },
	version: number,
): void {
	if (ifMatch === undefined || ifMatch.includes(version)) return;
	throw new AppError(
		'PRECONDITION_FAILED',
		'It has changed since: read it again, and send its present ETag',
		{
			field: 'If-Match',
		},
	);
}
