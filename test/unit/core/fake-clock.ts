import type { Clock } from '../../../src/core/clock.ts';

/** A clock that a test moves: the two times apart, for they are apart in life. */
export interface FakeClock extends Clock {
	/** Lets this much time pass on both. */
	advance(ms: number): void;
	/** Sets the wall clock alone, forwards or back, as NTP or an operator does. */
	jump(ms: number): void;
}

export function createFakeClock(now = Date.UTC(2026, 10, 21), monotonic = 1000): FakeClock {
	let wallMs = now;
	let steadyMs = monotonic;
	return {
		now: () => wallMs,
		monotonic: () => steadyMs,
		advance(ms) {
			wallMs += ms;
			steadyMs += ms;
		},
		jump(ms) {
			wallMs += ms;
		},
	};
}
