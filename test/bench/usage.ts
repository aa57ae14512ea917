import { readFileSync } from 'node:fs';

/** What the kernel has counted for a process up to now. */
export interface Usage {
	/** CPU time of all its threads, those that have ended included. */
	readonly cpu_ms: number;
	/** Of that, the part within the system. */
	readonly system_ms: number;
	/** Of its main thread: running, or ready and waiting for a core. */
	readonly main_ms: number;
	readonly main_waiting_ms: number;
}

/** Linux reports CPU time in ticks of 1/100 s, whatever the kernel's own clock (proc_pid_stat(5)). */
const TICK_MS = 10;
const NS_PER_MS = 1e6;

export function usageOf(pid: number): Usage {
	const [running = 0, waiting = 0] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8')
		.split(' ')
		.map(Number);
	return {
		...cpuOf(readFileSync(`/proc/${pid}/stat`, 'utf8')),
		main_ms: running / NS_PER_MS,
		main_waiting_ms: waiting / NS_PER_MS,
	};
}

function cpuOf(stat: string): Pick<Usage, 'cpu_ms' | 'system_ms'> {
	// The second field is the command in parentheses and may hold blanks; utime and stime are 14 and 15.
	const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
	const system_ms = Number(fields[12]) * TICK_MS;
	return { cpu_ms: Number(fields[11]) * TICK_MS + system_ms, system_ms };
}

/** CPU time that the whole machine has spent on anything but idling, all cores together. */
export function machineBusyMs(): number {
	const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = readFileSync(
		'/proc/stat',
		'utf8',
	)
		.slice('cpu '.length, 200)
		.trim()
		.split(/\s+/)
		.map(Number);
	return (user + nice + system + irq + softirq + steal) * TICK_MS;
}

/** Resident memory in KiB: all of it, and the part that belongs to this process alone. */
export function memoryOf(pid: number): { rss_kb: number; anon_kb: number } {
	const status = readFileSync(`/proc/${pid}/status`, 'utf8');
	const field = (name: string) =>
		Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN);
	return { rss_kb: field('VmRSS'), anon_kb: field('RssAnon') };
}
