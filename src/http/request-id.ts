import { looksLikeSecret } from '../core/api-key.ts';
import type { Ids } from '../core/ids.ts';

const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;

/**
 * The request's own id if it brought a usable one, so that logs of several systems meet; else a new one.
 * It is logged and sent back, so what looks like a secret is not usable.
 */
export function requestIdOf(headers: Headers, ids: Ids): string {
	const given = headers.get('X-Request-Id');
	const isUsable = given !== null && REQUEST_ID.test(given) && !looksLikeSecret(given);
	return isUsable ? given : ids('req');
}
