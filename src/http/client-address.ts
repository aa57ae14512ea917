import { BlockList, isIP } from 'node:net';
import { parseAddressRange } from '../core/address.ts';

/**
 * Makes the function that says whose request it is: the peer's address, or, behind proxies that are
 * trusted, the nearest address in X-Forwarded-For that is not one of them. What a client writes
 * into the header itself stands further left and is never reached.
 */
export function createClientAddress(trusted: readonly string[]) {
	const proxies = new BlockList();
	for (const text of trusted) {
		const range = parseAddressRange(text);
		if (range === undefined) continue;
		proxies.addSubnet(range.address, range.prefix, isIP(range.address) === 4 ? 'ipv4' : 'ipv6');
	}
	const isTrusted = (address: string) => {
		const family = isIP(address);
		return family !== 0 && proxies.check(address, family === 4 ? 'ipv4' : 'ipv6');
	};

	return function clientAddress(peer: string, forwardedFor: string | null): string {
		let address = unmapped(peer);
		const hops = forwardedFor?.split(',') ?? [];
		while (isTrusted(address)) {
			const next = hops.pop()?.trim();
			if (next === undefined || isIP(next) === 0) break;
			address = unmapped(next);
		}
		return address;
	};
}

/** `::ffff:10.0.0.1`, as a dual-stack socket tells it, is 10.0.0.1. */
const unmapped = (address: string) =>
	address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
