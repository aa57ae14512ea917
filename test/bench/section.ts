/** A part of the benchmark that is no scenario of `compare`: it measures in its own way. */
export interface Section {
	readonly name: string;
	readonly rows: readonly SectionRow[];
}

export interface SectionRow {
	readonly title: string;
	/** What is compared, over what it is compared to. */
	readonly ratio: string;
	readonly own: number;
	readonly other: number;
	readonly unit: string;
	readonly note: string;
}
