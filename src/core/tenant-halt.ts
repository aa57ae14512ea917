import { AppError } from './errors.ts';

/** Why nothing is done for a tenant. */
export type TenantHalt = 'suspended';

const WHY: Readonly<Record<TenantHalt, string>> = {
	suspended: 'This tenant is suspended',
};

/** What everybody of the tenant is told, whatever they ask. */
export const haltedError = (why: TenantHalt): AppError =>
	new AppError('AUTHORIZATION_ERROR', WHY[why]);
