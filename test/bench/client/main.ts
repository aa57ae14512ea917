/**
 * A driver process: opens one load on command, runs it round after round, and tells what it saw.
 * The benchmark talks to it over IPC; it ends with the channel.
 */
import { machineBusyMs, type Usage, usageOf } from '../usage.ts';
import { percentile } from './checks.ts';
import { Connects } from './connects.ts';
import { FanOut } from './fan-out.ts';
import { Flood } from './flood.ts';
import { History } from './history.ts';
import { Idle } from './idle.ts';
import type { Job, Load } from './load.ts';
import { Requests } from './requests.ts';
import { RestSend } from './rest-send.ts';
import { SocketSend } from './socket-send.ts';

export type Command =
	| { readonly do: 'open'; readonly job: Job }
	| { readonly do: 'run'; readonly warmup_ms: number; readonly measure_ms: number }
	| { readonly do: 'close' };

/** What one driver process measured in one round. Shares are of one core. */
export interface Round {
	readonly seconds: number;
	readonly done: number;
	readonly p50_ms: number | null;
	readonly p99_ms: number | null;
	readonly server_cpu: number;
	readonly server_main: number;
	readonly driver_cpu: number;
	/** The share of `driver_cpu` that was spent within the system. */
	readonly driver_system: number;
	/** Running, or ready to run while another process had the core. */
	readonly driver_busy: number;
	/** All CPU use of the machine, in cores. */
	readonly machine_cpu: number;
	readonly problems: readonly string[];
	/** Answered sends per room, all rounds so far. */
	readonly answered: Readonly<Record<string, number>>;
}

export type Answer =
	| { readonly said: 'opened' }
	| { readonly said: 'round'; readonly round: Round }
	| { readonly said: 'failed'; readonly reason: string };

/** How long answers and deliveries may take after the last send, before they count as lost. */
const SETTLE_TIMEOUT_MS = 10_000;
const SETTLE_POLL_MS = 2;

function openLoad(job: Job): Promise<Load> {
	switch (job.kind) {
		case 'rest_send':
			return RestSend.open(job);
		case 'history':
			return History.open(job);
		case 'socket_send':
			return SocketSend.open(job);
		case 'fan_out':
			return FanOut.open(job);
		case 'idle':
			return Idle.open(job);
		case 'requests':
			return Requests.open(job);
		case 'connects':
			return Connects.open(job);
		case 'flood':
			return Flood.open(job);
	}
}

interface Snapshot {
	readonly at: number;
	readonly done: number;
	readonly server: Usage;
	readonly driver: Usage;
	readonly machine: number;
}

const snapshot = (load: Load, serverPid: number): Snapshot => ({
	at: performance.now(),
	done: load.done,
	server: usageOf(serverPid),
	driver: usageOf(process.pid),
	machine: machineBusyMs(),
});

async function run(load: Load, serverPid: number, warmupMs: number, measureMs: number) {
	load.start();
	await Bun.sleep(warmupMs);
	load.latencies.isRecording = true;
	const begin = snapshot(load, serverPid);
	await Bun.sleep(measureMs);
	const end = snapshot(load, serverPid);
	load.latencies.isRecording = false;
	load.stop();
	await settle(load);
	return roundOf(load, begin, end);
}

async function settle(load: Load): Promise<void> {
	const deadline = performance.now() + SETTLE_TIMEOUT_MS;
	while (load.outstanding > 0) {
		if (performance.now() > deadline) {
			load.problems.add(`${load.outstanding} sends or deliveries never finished`);
			return;
		}
		await Bun.sleep(SETTLE_POLL_MS);
	}
}

function roundOf(load: Load, begin: Snapshot, end: Snapshot): Round {
	const ms = end.at - begin.at;
	const latencies = load.latencies.take();
	const driverMain = end.driver.main_ms - begin.driver.main_ms;
	const driverCpu = end.driver.cpu_ms - begin.driver.cpu_ms;
	const driverWaiting = end.driver.main_waiting_ms - begin.driver.main_waiting_ms;
	return {
		seconds: ms / 1_000,
		done: end.done - begin.done,
		p50_ms: percentile(latencies, 0.5),
		p99_ms: percentile(latencies, 0.99),
		server_cpu: (end.server.cpu_ms - begin.server.cpu_ms) / ms,
		server_main: (end.server.main_ms - begin.server.main_ms) / ms,
		driver_cpu: driverCpu / ms,
		driver_system: (end.driver.system_ms - begin.driver.system_ms) / Math.max(driverCpu, 1),
		driver_busy: (driverMain + driverWaiting) / ms,
		machine_cpu: (end.machine - begin.machine) / ms,
		problems: load.problems.list(),
		answered: load.answered(),
	};
}

let load: Load | undefined;
let serverPid = 0;

async function obey(command: Command): Promise<void> {
	if (command.do === 'open') {
		serverPid = command.job.endpoint.server_pid;
		load = await openLoad(command.job);
		tell({ said: 'opened' });
	} else if (command.do === 'run' && load !== undefined) {
		const round = await run(load, serverPid, command.warmup_ms, command.measure_ms);
		tell({ said: 'round', round });
	} else {
		load?.close();
		process.exit(0);
	}
}

const tell = (answer: Answer): void => void process.send?.(answer);

process.on('message', (command: Command) => {
	obey(command).catch((error: unknown) => tell({ said: 'failed', reason: String(error) }));
});
process.on('disconnect', () => process.exit(0));
