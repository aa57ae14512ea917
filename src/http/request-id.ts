import type { Ids } from '../core/ids.ts';

const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;

/** The request's own id if it brought a usable one, so that logs of several systems meet; else a new one. */
export function requestIdOf(headers: Headers, ids: Ids): string {
	const given = headers.get('X-Request-Id');
	return given !== null && REQUEST_ID.test(given) ? given : ids('req');
}
