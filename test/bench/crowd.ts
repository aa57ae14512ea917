import { shown, spreadOf } from './compare.ts';
import { openDriver } from './driver.ts';
import { seatsOf } from './footprint.ts';
import type { Section } from './section.ts';
import type { Target } from './servers.ts';
import { memoryOf } from './usage.ts';

/** From the issue: per second, on whatever machine, with what bare Bun does beside it. */
const PER_SECOND_GOAL = 2_000;
const RSS_MIB_GOAL = 256;

interface Gathered {
	readonly per_second: number;
	readonly rss_mib: number;
}

/** How fast a crowd of sockets comes that stays, and what the server holds then; both in turn. */
export async function crowdOf(
	targets: { chatapi: Target; reference: Target },
	{ sockets, rounds }: { sockets: number; rounds: number },
	progress: (line: string) => void,
): Promise<Section> {
	const gathered: Record<'chatapi' | 'reference', Gathered[]> = { chatapi: [], reference: [] };
	const sides = ['chatapi', 'reference'] as const;
	for (let round = 0; round < rounds; round++) {
		for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
			const one = await gather(targets[side], sockets);
			gathered[side].push(one);
			progress(
				`crowd: round ${round + 1}/${rounds} ${side} ${shown(one.per_second)} connects/s, ${shown(one.rss_mib)} MiB`,
			);
		}
	}
	const row = (title: string, unit: string, pick: (one: Gathered) => number, note: string) => {
		const [own, other] = sides.map((side) => gathered[side].map(pick)) as [number[], number[]];
		const ratio = spreadOf(own.map((value, index) => value / (other[index] ?? Number.NaN)));
		return {
			title,
			ratio: `${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)})`,
			own: spreadOf(own).median,
			other: spreadOf(other).median,
			unit,
			note,
		};
	};
	const count = sockets.toLocaleString('en-US');
	return {
		name: 'crowd',
		rows: [
			row(
				`${count} sockets come and stay`,
				'connections/s',
				({ per_second }) => per_second,
				`goal ≥ ${PER_SECOND_GOAL}`,
			),
			row(
				`Memory with ${count} sockets (RSS)`,
				'MiB',
				({ rss_mib }) => rss_mib,
				`lower is better; goal ≤ ${RSS_MIB_GOAL}`,
			),
		],
	};
}

async function gather(target: Target, sockets: number): Promise<Gathered> {
	const server = await target.start();
	try {
		const seats = await seatsOf(server, sockets);
		const begin = performance.now();
		const driver = await openDriver({ kind: 'idle', endpoint: server.endpoint, sockets: seats });
		const seconds = (performance.now() - begin) / 1_000;
		const rss_mib = memoryOf(server.endpoint.server_pid).rss_kb / 1_024;
		await driver.close();
		return { per_second: sockets / seconds, rss_mib };
	} finally {
		await server.stop();
	}
}
