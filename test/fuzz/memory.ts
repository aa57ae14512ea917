import { readFileSync } from 'node:fs';

const PAGE_BYTES = 4_096;

/** What the process holds in memory; undefined where there is no /proc to ask. */
export function residentBytes(pid: number): number | undefined {
	try {
		return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES;
	} catch {
		return undefined;
	}
}
