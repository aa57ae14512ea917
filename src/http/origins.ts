import { AppError } from '../core/errors.ts';

/** An exact match, or a wildcard. Who sends no Origin is no browser, and brought a credential. */
export function requireOrigin(origin: string | null, allowed: readonly string[]): void {
	if (origin === null || allowed.includes('*') || allowed.includes(origin)) return;
	throw new AppError(
		'AUTHORIZATION_ERROR',
		"Origin not allowed: add it to the tenant's allowed_origins, or to ALLOWED_ORIGINS",
		{ field: 'Origin' },
	);
}
