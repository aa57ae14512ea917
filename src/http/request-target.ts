/**
 * Path and query of a request, exactly as they were sent. `new URL` is not for this: it throws for a
 * Host that is empty or no host name, which is a client's to write.
 */
export function requestTarget(url: string): { path: string; query: string } {
	const scheme = url.indexOf('://');
	const slash = url.indexOf('/', scheme === -1 ? 0 : scheme + 3);
	const target = slash === -1 ? '/' : url.slice(slash);
	const mark = target.indexOf('?');
	return mark === -1
		? { path: target, query: '' }
		: { path: target.slice(0, mark), query: target.slice(mark + 1) };
}
