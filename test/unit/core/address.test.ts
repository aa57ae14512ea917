import { describe, expect, test } from 'bun:test';
import { localUrl, parseAddressRange, parseListenAddress } from '../../../src/core/address.ts';

describe('an address range', () => {
	test.each([
		['10.1.2.3', '10.1.2.3', 32],
		['10.0.0.0/8', '10.0.0.0', 8],
		['0.0.0.0/0', '0.0.0.0', 0],
		['::1', '::1', 128],
		['fd00::/8', 'fd00::', 8],
	])('is read from %s', (text, address, prefix) => {
		expect(parseAddressRange(text)).toEqual({ address, prefix });
	});

	test.each([
		['nothing', ''],
		['a name', 'proxy.local'],
		['a prefix that is missing, which must not mean everybody', '10.0.0.0/'],
		['a prefix beyond 32', '10.0.0.0/33'],
		['a prefix beyond 128', '::/129'],
		['a prefix below zero', '10.0.0.0/-1'],
		['a prefix in another notation', '10.0.0.0/0x8'],
		['a prefix with an exponent', '10.0.0.0/1e1'],
		['a prefix with a space', '10.0.0.0/ 8'],
		['two prefixes', '10.0.0.0/8/8'],
		['a netmask', '10.0.0.0/255.0.0.0'],
		['too large a byte', '10.0.0.256'],
		['three bytes', '10.0.0'],
		['a port', '10.0.0.1:80'],
		['brackets', '[::1]'],
		['a NUL', '10.0.0.1\0'],
		['a hundred thousand slashes', '/'.repeat(100_000)],
	])('is not read from %s', (_, text) => {
		expect(parseAddressRange(text)).toBeUndefined();
	});
});

describe('an address to listen on', () => {
	test.each([
		['127.0.0.1:8080', '127.0.0.1', 8080],
		['localhost:0', 'localhost', 0],
		['[::1]:65535', '::1', 65_535],
		['[::]:80', '::', 80],
	])('is read from %s', (text, hostname, port) => {
		expect(parseListenAddress(text)).toEqual({ hostname, port });
	});

	test('without a host is every address there is', () => {
		const { hostname, port } = parseListenAddress(':8080');

		expect(['::', '0.0.0.0']).toContain(hostname);
		expect(port).toBe(8080);
	});

	test.each([
		['127.0.0.1:80', 'http://127.0.0.1:80'],
		['[::1]:80', 'http://[::1]:80'],
		['[::]:80', 'http://localhost:80'],
		['0.0.0.0:80', 'http://localhost:80'],
		[':80', 'http://localhost:80'],
	])('is reached from this machine: %s under %s', (text, url) => {
		expect(localUrl(parseListenAddress(text))).toBe(url);
	});
});
