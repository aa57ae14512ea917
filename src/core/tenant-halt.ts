import { AppError } from './errors.ts';

/** Why nothing is done for a tenant: it is suspended, or on its way to being erased. */
export type TenantHalt = 'suspended' | 'deleting';

const WHY: Readonly<Record<TenantHalt, string>> = {
	suspended: 'This tenant is suspended',
	deleting: 'This tenant is being deleted',
};

/** What everybody of the tenant is told, whatever they ask. */
export const haltedError = (why: TenantHalt): AppError =>
	new AppError('AUTHORIZATION_ERROR', WHY[why]);
