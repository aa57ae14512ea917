/**
 * How much is tried, and from which seed: `FUZZ_SEED=7 FUZZ_COUNT=100000 npm test -- --only fuzz`.
 * The seed is printed, so that what failed can be had again.
 */
export const FUZZ_SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000);
/** Requests, and frames. */
export const FUZZ_COUNT = Number(process.env.FUZZ_COUNT ?? 5_000);

/** For a run of any length: a thousand tries take a few seconds on a slow machine. */
export const FUZZ_TIMEOUT_MS = 30_000 + FUZZ_COUNT * 8;

/** What a process may grow by while it is fed nonsense: buffers and caches, but no leak per try. */
export const GROWTH_BYTES_MAX = 192 * 1024 * 1024;

console.log(`FUZZ_SEED=${FUZZ_SEED} FUZZ_COUNT=${FUZZ_COUNT}`);
