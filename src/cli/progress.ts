import { systemClock } from '../core/clock.ts';
import type { OnProgress } from '../db/backup.ts';

/** Short work says nothing; long work says a line now and then. */
const LINE_EVERY_MS = 2000;
const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

/** Tells on stderr how far long work is. `isQuiet`: not at all. */
export function progressLines(isQuiet: boolean): OnProgress {
	let saidAt = systemClock.monotonic();
	return ({ stage, done, total }) => {
		const now = systemClock.monotonic();
		if (isQuiet || now - saidAt < LINE_EVERY_MS) return;
		saidAt = now;
		const amount = done === null ? '' : ` ${sizeText(done)}`;
		console.error(`${stage}${amount}${total === null ? '' : ` of about ${sizeText(total)}`}`);
	};
}

/** How many there are of what has this name. */
export const counted = (count: number, one: string, many = `${one}s`): string =>
	`${count} ${count === 1 ? one : many}`;

/** A size as people read it. */
export function sizeText(bytes: number): string {
	const power = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
	return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${UNITS[power]}`;
}
