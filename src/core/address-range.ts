import { isIP } from 'node:net';

/** An address, or a range in CIDR form, such as `10.0.0.0/8`. Undefined for what is neither. */
export function parseAddressRange(text: string): { address: string; prefix: number } | undefined {
	const [address = '', bits, ...rest] = text.split('/');
	const family = isIP(address);
	const widest = family === 4 ? 32 : 128;
	const prefix = bits === undefined ? widest : Number(bits);
	const isRange =
		family !== 0 && rest.length === 0 && /^\d{1,3}$/.test(String(prefix)) && prefix <= widest;
	return isRange ? { address, prefix } : undefined;
}
