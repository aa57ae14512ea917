/**
 * Verdicts on mutants in a file, one JSON object a line, so that a run that was stopped goes on where it
 * was. A verdict is believed for as long as the sources and the tests that it rests on are the same; one
 * that is not still says which tests are likely to catch the mutant.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Catch, TESTS, type Verdict } from './mutant-runs.ts';
import { type Mutant, ROOT } from './mutations.ts';

/** A verdict without what was printed. */
export type Kept = Pick<Verdict, 'isCaught' | 'by' | 'failed' | 'hasWaited'> & { seconds: number };

/** As it stands in the file. */
interface Line extends Kept {
	name: string;
	path: string;
	/** Of all that it rests on. */
	digest: string;
}

export interface Results {
	/** What was found out before; undefined for what has to be run. */
	find(name: string): Kept | undefined;
	add(mutant: Pick<Mutant, 'name' | 'path'>, verdict: Kept): void;
	catches(): Catch[];
}

/** Without a path, results that are known to this process alone. */
export function openResults(path: string | undefined): Results {
	const text = path !== undefined && existsSync(path) ? readFileSync(path, 'utf8') : '';
	const whole = text.split('\n').slice(0, -1);
	const lines = new Map(
		whole.map((line) => JSON.parse(line) as Line).map((line) => [line.name, line]),
	);
	const digestOf = createDigests();
	return {
		find(name) {
			const line = lines.get(name);
			return line !== undefined && line.digest === digestOf(line) ? line : undefined;
		},
		add({ name, path: of }, { isCaught, by, failed, hasWaited, seconds }) {
			const kept = { isCaught, by, failed, hasWaited, seconds };
			const line: Line = { name, path: of, ...kept, digest: digestOf(kept) };
			lines.set(name, line);
			if (path !== undefined) appendFileSync(path, `${JSON.stringify(line)}\n`);
		},
		catches: () =>
			[...lines.values()].flatMap(({ path: of, by }) => (by === undefined ? [] : { path: of, by })),
	};
}

/** What every verdict rests on: the sources, and what the tests have in common. */
const GROUND = ['src/**', 'drizzle/**', 'test/helpers/**', 'test/fuzz/random.ts'];
const ISOLATION = 'test/contract/isolation';

/** A verdict rests on the tests that failed, or on all of them. */
function createDigests(): (verdict: Pick<Kept, 'by'>) => string {
	const shared = new Bun.CryptoHasher('sha256');
	const common = new Bun.Glob(`${ISOLATION}/*.ts`).scanSync({ cwd: ROOT });
	const isCommon = (file: string) => !/\.test\.ts$|\/mutant[^/]*$|\/mutations\.ts$/.test(file);
	const ground = GROUND.flatMap((pattern) => [...new Bun.Glob(pattern).scanSync({ cwd: ROOT })]);
	for (const file of [...ground, ...[...common].filter(isCommon)].sort()) {
		shared.update(`${file}\n`).update(readFileSync(join(ROOT, file)));
	}
	return ({ by }) => {
		const own = shared.copy();
		for (const name of by === undefined ? Object.keys(TESTS) : [by]) {
			own.update(readFileSync(join(ROOT, ISOLATION, `${name}.contract.test.ts`)));
		}
		return own.digest('hex').slice(0, 16);
	};
}
