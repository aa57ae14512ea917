/** How long a test waits for anything that has no reason to take long. Shared cores are slow. */
export const DEADLINE_MS = 5_000;

const POLL_MS = 5;

type Falsy = false | null | undefined | 0 | '';

/**
 * Waits until `condition` holds: returns something truthy and does not throw. Returns what it
 * returned. Fails with its last error, or with `what`, once the deadline is over.
 */
export async function eventually<T>(
	condition: () => T | Promise<T>,
	deadlineMs: number = DEADLINE_MS,
	what = 'the condition',
): Promise<Exclude<T, Falsy>> {
	const until = performance.now() + deadlineMs;
	for (;;) {
		let failure: unknown;
		try {
			const value = await condition();
			if (value) return value as Exclude<T, Falsy>;
		} catch (error) {
			failure = error;
		}
		if (performance.now() >= until) {
			throw failure ?? new Error(`Waited ${deadlineMs} ms in vain for ${what}`);
		}
		await Bun.sleep(POLL_MS);
	}
}

/** The promise's value, or a failure that says what was waited for. Never leaves a timer behind. */
export async function within<T>(
	promise: Promise<T>,
	what: string | (() => string),
	deadlineMs: number = DEADLINE_MS,
): Promise<T> {
	let timer: ReturnType<typeof setTimeout> | undefined;
	const expired = new Promise<never>((_, reject) => {
		timer = setTimeout(() => {
			const text = typeof what === 'string' ? what : what();
			reject(new Error(`Waited ${deadlineMs} ms in vain for ${text}`));
		}, deadlineMs);
	});
	try {
		return await Promise.race([promise, expired]);
	} finally {
		clearTimeout(timer);
	}
}
