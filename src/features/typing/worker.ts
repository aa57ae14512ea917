import type { Typing } from './service.ts';

const SWEEP_MS = 1000;

/** Ends, second by second, the typing that nobody said again. */
export function createSweeper({ sweep }: Typing) {
	let timer: ReturnType<typeof setInterval> | undefined;
	return {
		start(): void {
			timer = setInterval(sweep, SWEEP_MS);
		},
		stop(): void {
			clearInterval(timer);
		},
	};
}
