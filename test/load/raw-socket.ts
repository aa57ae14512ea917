/**
 * A TCP socket that nobody reads until it is told to: the runtime's own read whatever comes. Made with
 * the system's calls, so that its receive buffer can be small from the handshake on.
 */
import { dlopen, FFIType, ptr } from 'bun:ffi';

const { i32, u32, u64, i64, pointer } = {
	i32: FFIType.i32,
	u32: FFIType.u32,
	u64: FFIType.u64,
	i64: FFIType.i64,
	pointer: FFIType.ptr,
};
const { symbols: libc } = dlopen('libc.so.6', {
	socket: { args: [i32, i32, i32], returns: i32 },
	setsockopt: { args: [i32, i32, i32, pointer, u32], returns: i32 },
	bind: { args: [i32, pointer, u32], returns: i32 },
	connect: { args: [i32, pointer, u32], returns: i32 },
	send: { args: [i32, pointer, u64, i32], returns: i64 },
	recv: { args: [i32, pointer, u64, i32], returns: i64 },
	close: { args: [i32], returns: i32 },
});

// From the system's headers, for Linux on any machine that Bun runs on.
const AF_INET = 2;
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const IPPROTO_TCP = 6;
const TCP_MAXSEG = 2;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

/** What the server may have on the way to it, before it has to keep it: a few KiB each. */
const RECEIVE_BYTES = 4_096;
const SEGMENT_BYTES = 1_024;
const READ_BYTES = 256 * 1024;

export interface RawSocket {
	write(text: string): void;
	/** What has arrived; empty for nothing so far, undefined once the other side is gone. */
	read(): Buffer | undefined;
	close(): void;
}

function check(result: unknown, what: string): number {
	if (Number(result) < 0) throw new Error(`${what} failed`);
	return Number(result);
}

function option(socket: number, level: number, name: number, value: number): void {
	const bytes = new Int32Array([value]);
	check(libc.setsockopt(socket, level, name, ptr(bytes), 4), `setsockopt ${name}`);
}

/** Connects to a port of the loopback. @throws when the system refuses. */
export function openRawSocket(port: number): RawSocket {
	const socket = check(libc.socket(AF_INET, SOCK_STREAM_CLOEXEC, 0), 'socket');
	option(socket, SOL_SOCKET, SO_RCVBUF, RECEIVE_BYTES);
	option(socket, IPPROTO_TCP, TCP_MAXSEG, SEGMENT_BYTES);
	const address = new Uint8Array(16);
	const view = new DataView(address.buffer);
	view.setUint16(0, AF_INET, true);
	view.setUint16(2, port);
	address.set([127, 0, 0, 1], 4);
	check(libc.connect(socket, ptr(address), address.length), 'connect');
	const bytes = Buffer.alloc(READ_BYTES);
	return {
		write(text) {
			const out = Buffer.from(text);
			const sent = libc.send(socket, ptr(out), BigInt(out.length), MSG_NOSIGNAL);
			if (Number(sent) !== out.length) throw new Error('send failed');
		},
		read() {
			const count = Number(libc.recv(socket, ptr(bytes), BigInt(bytes.length), MSG_DONTWAIT));
			// 0 is an orderly end. Below it is either nothing to read, or a reset: asked again, it tells.
			if (count === 0) return undefined;
			return count < 0 ? Buffer.alloc(0) : Buffer.from(bytes.subarray(0, count));
		},
		close: () => void libc.close(socket),
	};
}
