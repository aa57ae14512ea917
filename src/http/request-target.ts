/**
 * Path and query of a request, exactly as they were sent. `new URL` is not for this: it throws for a
 * Host that is empty or no host name, which is a client's to write.
 */
export function requestTarget(url: string): { path: string; query: string } {
	const [, path = '/', query = ''] = /^(?:[a-z]+:\/\/[^/?#]*)?([^?#]*)\??([^#]*)/i.exec(url) ?? [];
	return { path: path === '' ? '/' : path, query };
}
