import { AppError } from '../core/errors.ts';
import { requestTarget } from './request-target.ts';

/**
 * Makes what says why no route matched: nobody knows the path, or its methods are others. The
 * router itself answers both alike.
 */
export function createUnknownRoute(routes: () => readonly { method: string; path: string }[]) {
	let patterns: { method: string; pattern: RegExp }[] | undefined;

	return function unknownRoute(request: Request): AppError {
		patterns ??= routes().map(({ method, path }) => ({ method, pattern: patternOf(path) }));
		const { path } = requestTarget(request.url);
		const methods = patterns.filter(({ pattern }) => pattern.test(path));
		if (methods.length === 0)
			return new AppError('NOT_FOUND', 'Route not found: /swagger has them all');
		// What answers GET answers HEAD, without a route of its own.
		const allow = [...new Set(methods.flatMap(({ method }) => namesOf(method)))].join(', ');
		return new AppError('METHOD_NOT_ALLOWED', `Method not allowed. Must be one of: ${allow}`, {
			allow,
		});
	};
}

const namesOf = (method: string): string[] => (method === 'GET' ? ['GET', 'HEAD'] : [method]);

/** `/rooms/:room_id` matches `/rooms/x` and `/rooms/x/`, as the router does. */
const patternOf = (path: string) =>
	new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/:\w+/g, '[^/]+')}/?$`);
