import { randomBytes } from 'node:crypto';

/** Where randomness comes from. Handed in everywhere, so that tests own it. */
export interface Random {
	/** Bytes fit for secrets. */
	bytes(count: number): Uint8Array;
	/** A number in [0, 1). */
	fraction(): number;
}

export const systemRandom: Random = {
	bytes: (count) => randomBytes(count),
	fraction: () => randomBytes(4).readUInt32BE() / 2 ** 32,
};
