import { AppError } from '../../../src/core/errors.ts';

/** The error that this throws; a failure when it throws nothing. */
export function thrownBy(run: () => unknown): Error {
	try {
		run();
	} catch (error) {
		if (error instanceof Error) return error;
		throw new Error(`threw something that is no error: ${String(error)}`);
	}
	throw new Error('threw nothing');
}

/** As `thrownBy`, for a failure that a client may see. */
export function appErrorOf(run: () => unknown): AppError {
	const error = thrownBy(run);
	if (error instanceof AppError) return error;
	throw new Error('threw a defect instead of an AppError', { cause: error });
}
