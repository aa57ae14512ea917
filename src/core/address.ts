import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

/** An address, or a range in CIDR form, such as `10.0.0.0/8`. Undefined for what is neither. */
export function parseAddressRange(text: string): { address: string; prefix: number } | undefined {
	const [address = '', bits, ...rest] = text.split('/');
	const family = isIP(address);
	const widest = family === 4 ? 32 : 128;
	// Number('') is 0, and a prefix of 0 is everybody.
	const isPrefix = bits === undefined || /^\d{1,3}$/.test(bits);
	const prefix = bits === undefined ? widest : Number(bits);
	const isRange = family !== 0 && rest.length === 0 && isPrefix && prefix <= widest;
	return isRange ? { address, prefix } : undefined;
}

export interface ListenAddress {
	hostname: string;
	port: number;
}

/** Host and port of an address such as `:8080` or `[::1]:8080`. No host is every address there is. */
export function parseListenAddress(address: string): ListenAddress {
	const colon = address.lastIndexOf(':');
	const hostname = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
	return {
		hostname: hostname === '' ? anyHost() : hostname,
		port: Number(address.slice(colon + 1)),
	};
}

/** `::` takes IPv4 too, but cannot be bound to where IPv6 is switched off. */
function anyHost(): string {
	const interfaces = Object.values(networkInterfaces()).flat();
	return interfaces.some((address) => address?.family === 'IPv6') ? '::' : '0.0.0.0';
}

/** The URL under which this machine reaches a server that listens there. */
export function localUrl({ hostname, port }: ListenAddress): string {
	const isAny = hostname === '0.0.0.0' || hostname === '::';
	const host = isAny ? 'localhost' : hostname.includes(':') ? `[${hostname}]` : hostname;
	return `http://${host}:${port}`;
}
