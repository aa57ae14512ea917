import { shown } from '../compare.ts';
import type { Grown } from './measure.ts';

const WIDTH = 640;
const HEIGHT = 320;
const LEFT = 56;
const RIGHT = 230;
const TOP = 36;
const BOTTOM = 44;
/** Told apart by people who see colours otherwise, too (Okabe and Ito). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00'];
const LABEL_GAP = 15;

const escaped = (text: string): string =>
	text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** A step of 1, 2 or 5 times a power of ten that makes about four of them up to `top`. */
function stepOf(top: number): number {
	const rough = top / 4;
	const power = 10 ** Math.floor(Math.log10(rough));
	return power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
}

/** Server CPU per operation over the size (logarithmic), one line a question, as an SVG. */
export function pictureOf({ title, sizes, lines }: Grown): string {
	const logs = sizes.map(Math.log10);
	const [low = 0] = logs;
	const span = (logs.at(-1) ?? 1) - low || 1;
	const values = lines.flatMap(({ points }) => points.map(({ cpu_us }) => cpu_us.median));
	const step = stepOf(Math.max(...values));
	const top = Math.ceil(Math.max(...values) / step) * step;
	const x = (size: number) => LEFT + ((Math.log10(size) - low) / span) * (WIDTH - LEFT - RIGHT);
	const y = (value: number) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
	const at = (value: number) => value.toFixed(1);

	const ticks = Array.from({ length: Math.round(top / step) + 1 }, (_, index) => index * step);
	const grid = ticks.map(
		(tick) =>
			`<path d="M${LEFT} ${at(y(tick))}H${WIDTH - RIGHT}" stroke="#ddd"/>` +
			`<text x="${LEFT - 8}" y="${at(y(tick) + 4)}" text-anchor="end">${Number(tick.toPrecision(3))}</text>`,
	);
	const marks = sizes.map(
		(size) =>
			`<text x="${at(x(size))}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${size.toLocaleString('en-US')}</text>`,
	);
	const ends = labelPlaces(lines.map(({ points }) => y(points.at(-1)?.cpu_us.median ?? 0)));
	const drawn = lines.map((line, index) => {
		const colour = COLOURS[index % COLOURS.length];
		const places = line.points.map(({ size, cpu_us }) => `${at(x(size))} ${at(y(cpu_us.median))}`);
		const dots = places.map((place) => {
			const [cx, cy] = place.split(' ');
			return `<circle cx="${cx}" cy="${cy}" r="3.5" fill="${colour}"/>`;
		});
		const label = `${line.title} ×${line.cpu_slope.median.toFixed(2)}`;
		return (
			`<path d="M${places.join('L')}" fill="none" stroke="${colour}" stroke-width="2"/>${dots.join('')}` +
			`<text x="${WIDTH - RIGHT + 10}" y="${at((ends[index] ?? 0) + 4)}" fill="${colour}">${escaped(label)}</text>`
		);
	});
	const summary = lines.map(({ title: of, points }) => {
		const medians = points.map(({ cpu_us }) => shown(cpu_us.median));
		return `${of}: ${medians.join(', ')} µs`;
	});
	return [
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12" role="img">`,
		`<title>${escaped(`${title}: server CPU µs per operation. ${summary.join('; ')}`)}</title>`,
		`<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
		`<text x="${LEFT}" y="20" font-weight="bold">${escaped(title)} – server CPU µs per operation</text>`,
		...grid,
		...marks,
		...drawn,
		'</svg>',
		'',
	].join('\n');
}

/** Where labels stand: beside their line's end, apart from each other, and above the axis. */
function labelPlaces(ends: readonly number[]): number[] {
	const places: number[] = [];
	const lowestFirst = [...ends.keys()].sort((a, b) => (ends[b] ?? 0) - (ends[a] ?? 0));
	let free = HEIGHT - BOTTOM - LABEL_GAP / 2;
	for (const index of lowestFirst) {
		const place = Math.min(ends[index] ?? 0, free);
		places[index] = place;
		free = place - LABEL_GAP;
	}
	return places;
}
