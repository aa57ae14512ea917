/**
 * How much is tried, and from which seed. `npm test` tries a little; this is the long form, of
 * 200,000 requests and 200,000 frames, after `npm run build`:
 *
 *     FUZZ_COUNT=200000 npx bun test ./test/fuzz
 *
 * (`npm test -- --only fuzz` takes both variables too, but its step is ended after a few minutes.)
 * The seed is printed, so that what failed can be had again: `FUZZ_SEED=7`. What fails is printed
 * as well, and as small as it could be made: template literals, with the names of the ids in them;
 * in a request each character is a byte.
 */
export const FUZZ_SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000);
/** Requests, and frames. */
export const FUZZ_COUNT = Number(process.env.FUZZ_COUNT ?? 5_000);

/** For a run of any length: a thousand tries take a few seconds on a slow machine. */
export const FUZZ_TIMEOUT_MS = 30_000 + FUZZ_COUNT * 8;

/** What a process may grow by while it is fed nonsense: buffers and caches, but no leak per try. */
export const GROWTH_BYTES_MAX = 192 * 1024 * 1024;

console.log(`FUZZ_SEED=${FUZZ_SEED} FUZZ_COUNT=${FUZZ_COUNT}`);
