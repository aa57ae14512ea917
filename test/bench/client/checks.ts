/** What went wrong, each kind once with its count: a broken run must not drown in its own words. */
export class Problems {
	readonly #counts = new Map<string, number>();

	add(problem: string): void {
		this.#counts.set(problem, (this.#counts.get(problem) ?? 0) + 1);
	}

	list(): string[] {
		return [...this.#counts].map(([problem, count]) => `${count} × ${problem}`);
	}
}

/** The answered sends of one room whose only senders are in this process. */
export class SeqLedger {
	#seen = new Uint8Array(1 << 16);
	#highest = 0;
	count = 0;

	/** False when this seq was answered before, or is none. */
	add(seq: number): boolean {
		if (!(seq >= 1)) return false;
		if (seq >= this.#seen.length) {
			const grown = new Uint8Array(Math.max(seq + 1, this.#seen.length * 2));
			grown.set(this.#seen);
			this.#seen = grown;
		}
		if (this.#seen[seq] === 1) return false;
		this.#seen[seq] = 1;
		this.count++;
		if (seq > this.#highest) this.#highest = seq;
		return true;
	}

	/** Distinct and as many as the highest: exactly 1..N. To be asked when nothing is under way. */
	get hasGap(): boolean {
		return this.#highest !== this.count;
	}
}

/** Latencies in milliseconds, all of them kept: a percentile of a summary is none. */
export class Latencies {
	#samples = new Float32Array(1 << 16);
	#count = 0;
	/** Off during the warm-up. */
	isRecording = false;

	add(ms: number): void {
		if (!this.isRecording) return;
		if (this.#count === this.#samples.length) {
			const grown = new Float32Array(this.#samples.length * 2);
			grown.set(this.#samples);
			this.#samples = grown;
		}
		this.#samples[this.#count++] = ms;
	}

	/** The samples so far, sorted, and none kept. */
	take(): Float32Array {
		const taken = this.#samples.slice(0, this.#count).sort();
		this.#count = 0;
		return taken;
	}
}

export const percentile = (sorted: Float32Array, share: number): number | null =>
	sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null;
