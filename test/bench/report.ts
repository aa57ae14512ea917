import { type Result, type Side, type Spread, shown, spreadOf } from './compare.ts';
import type { Churn, Footprint } from './footprint.ts';
import type { Section, SectionRow } from './section.ts';

export interface Report {
	readonly began_at: string;
	readonly machine: Machine;
	readonly results: readonly Result[];
	readonly footprint: { readonly chatapi: Footprint; readonly reference: Footprint } | null;
	readonly churn: Churn | null;
	readonly sections: readonly Section[];
}

export interface Machine {
	readonly cores: number;
	readonly cpu: string;
	readonly kernel: string;
	readonly bun: string;
	readonly file_system: string;
	/** Median of an fdatasync after a 4 KiB write, beside the databases. */
	readonly sync_ms: number;
}

/** The goal of the first release, printed beside the figure and never an exit code. */
const START_GOAL_MS = 300;

/** What an idle socket may take, as a multiple of bare Bun's. */
const IDLE_SOCKET_GOAL = 1.3;

/** Below this the machine was ours; above, other processes took part of a core away. */
const OTHERS_NOTABLE = 0.25;

const HEADER = [
	'scenario',
	'chatapi / bare Bun (range)',
	'chatapi',
	'bare Bun',
	'unit',
	'server CPU µs per op',
	'CPU ratio',
	'p99 ms',
	'cores: server + driver',
	'notes',
];

/** One Markdown table: ratios first. */
export function tableOf({ results, footprint, churn, sections }: Report): string {
	const rows = [
		HEADER,
		...results.map(rowOf),
		...(footprint ? footprintRows(footprint) : []),
		...(churn ? [churnRow(churn)] : []),
		...sections.flatMap(({ rows }) => rows.map(sectionRow)),
	];
	const widths = HEADER.map((_, column) =>
		Math.max(...rows.map((row) => (row[column] ?? '').length)),
	);
	const lines = rows.map(
		(row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`,
	);
	lines.splice(1, 0, `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`);
	return lines.join('\n');
}

const sectionRow = ({ title, ratio, own, other, unit, note }: SectionRow): string[] => [
	...[title, ratio, shown(own), shown(other), unit],
	...['–', '–', '–', '–', note],
];

const fixed = (value: number): string => value.toFixed(2);

function rangeOf(ratio: Spread): string {
	return `${fixed(ratio.median)} (${fixed(ratio.min)}–${fixed(ratio.max)})`;
}

function ratioCell({ ratio, wrong, void: saturated }: Result): string {
	if (wrong.length > 0 || ratio === null) return 'VOID';
	return saturated.length > 0 ? 'rate void, see CPU ratio' : rangeOf(ratio);
}

/** With its range where it is the only figure of the row. */
function cpuRatioCell({ cpu_ratio, wrong, void: saturated }: Result): string {
	if (wrong.length > 0 || cpu_ratio === null) return '–';
	return saturated.length > 0 ? rangeOf(cpu_ratio) : fixed(cpu_ratio.median);
}

function rowOf(result: Result): string[] {
	const { chatapi, reference } = result;
	const pair = (pick: (side: Side) => string) =>
		chatapi && reference ? `${pick(chatapi)} / ${pick(reference)}` : '–';
	return [
		result.title,
		ratioCell(result),
		chatapi ? shown(chatapi.figure.median) : '–',
		reference ? shown(reference.figure.median) : '–',
		result.unit,
		pair(({ cpu_us }) => shown(cpu_us.median)),
		cpuRatioCell(result),
		pair(({ p99_ms }) => (p99_ms === null ? '–' : shown(p99_ms.median))),
		pair((side) => `${fixed(side.server_cpu)} + ${fixed(side.driver_cpu)}`),
		notesOf(result).join('; '),
	];
}

function notesOf(result: Result): string[] {
	const { chatapi, reference } = result;
	if (result.wrong.length > 0) return result.wrong.map((reason) => `wrong: ${reason}`);
	const notes: string[] = [];
	if (chatapi && reference) notes.push(`limit: ${chatapi.limit} / ${reference.limit}`);
	if (result.void.length > 0) notes.push(driverBound(result));
	if (result.is_lower_better) notes.push('lower is better');
	const others = Math.max(chatapi?.others_cpu ?? 0, reference?.others_cpu ?? 0);
	if (others > OTHERS_NOTABLE) notes.push(`other processes took ${fixed(others)} cores`);
	return notes;
}

/** Says how much of the load client's time was the system's: no other client would be spared that. */
function driverBound({ chatapi, reference, void: saturated }: Result): string {
	const sides = [chatapi, reference].filter((side) => side?.limit === 'driver');
	const system = Math.min(...sides.map((side) => side?.driver_system ?? 0));
	return `driver-bound: ${saturated.join(', ')} (${Math.round(system * 100)} % of the driver within the system)`;
}

/** Medians of halves: where the collector is caught says more about one time than what was kept. */
function churnRow({ sockets, chatapi, reference }: Churn): string[] {
	const half = (left: readonly number[], isLater: boolean) =>
		spreadOf(isLater ? left.slice(left.length >> 1) : left.slice(0, left.length >> 1)).median;
	const grown = (left: readonly number[]) => half(left, true) - half(left, false);
	const title = `Memory after ${sockets.toLocaleString('en-US')} sockets, ${chatapi.length} times`;
	const note = `lower is better; the second half of the times left ${fixed(grown(chatapi))} / ${fixed(grown(reference))} MiB more than the first`;
	const [own, other] = [half(chatapi, true), half(reference, true)];
	const nothing = ['–', '–', '–', '–'];
	return [title, fixed(own / other), shown(own), shown(other), 'MiB', ...nothing, note];
}

function footprintRows(footprint: { chatapi: Footprint; reference: Footprint }): string[][] {
	const { chatapi, reference } = footprint;
	const row = (title: string, unit: string, pick: (side: Footprint) => number, note: string) => [
		title,
		fixed(pick(chatapi) / pick(reference)),
		shown(pick(chatapi)),
		shown(pick(reference)),
		unit,
		'–',
		'–',
		'–',
		'–',
		note,
	];
	const { median, min, max } = chatapi.start_ms;
	const goal = `goal ≤ ${START_GOAL_MS}: ${median <= START_GOAL_MS ? 'met' : 'MISSED'}`;
	return [
		row(
			'Start to first 200 on /health',
			'ms',
			({ start_ms }) => start_ms.median,
			`lower is better; ${shown(min)}–${shown(max)}; ${goal}`,
		),
		row('Idle memory (RSS)', 'MiB', ({ idle_rss_mib }) => idle_rss_mib, 'lower is better'),
		idleSocketRow(footprint),
		row(
			'Executable',
			'MiB',
			({ executable_mib }) => executable_mib,
			'lower is better; bare Bun is the runtime alone',
		),
	];
}

function idleSocketRow({ chatapi, reference }: { chatapi: Footprint; reference: Footprint }) {
	const [own, other] = [chatapi.kib_per_idle_socket, reference.kib_per_idle_socket];
	const ratio = spreadOf(own.map((kib, round) => kib / (other[round] ?? Number.NaN)));
	const goal = `goal ≤ ${IDLE_SOCKET_GOAL}: ${ratio.median <= IDLE_SOCKET_GOAL ? 'met' : 'MISSED'}`;
	return [
		`Idle socket, of ${chatapi.idle_sockets.toLocaleString('en-US')}`,
		rangeOf(ratio),
		shown(spreadOf(own).median),
		shown(spreadOf(other).median),
		'KiB',
		'–',
		'–',
		'–',
		'–',
		`lower is better; ${goal}`,
	];
}
