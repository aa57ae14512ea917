import { describe, expect, test } from 'bun:test';
import { shapeViolations, usageViolations } from './rules.ts';
import { complaintsOf, parse } from './samples.ts';

describe('usage', () => {
	test.each([
		['Date.now', 'const x = Date.now();'],
		['Date.now', 'const clock = { now: Date.now };'],
		['Date.now', "const x = Date['now']();"],
		['Date.now', 'const { now } = Date;'],
		['Date.now', 'const x = globalThis.Date.now();'],
		['new Date()', 'const x = new Date();'],
		['new Date()', 'const x = new Date;'],
		['performance.now', 'const x = performance.now();'],
		['Bun.nanoseconds', 'const x = Bun.nanoseconds();'],
		['Math.random', 'const x = Math.random();'],
		['Math.random', 'const x = Math?.random();'],
		['crypto.getRandomValues', 'crypto.getRandomValues(new Uint8Array(1));'],
		['crypto.randomUUID', 'const x = crypto.randomUUID();'],
		['Bun.randomUUIDv7', "const x = Bun.randomUUIDv7('buffer');"],
		['randomBytes', "import { randomBytes } from 'node:crypto';"],
		['process.env', 'const x = process.env.HOME;'],
		['process.env', "const x = process['env'];"],
		['process.env', 'const { env } = process;'],
		['Bun.env', 'const x = Bun.env.HOME;'],
		['import.meta.env', 'const x = import.meta.env.HOME;'],
		['console', "console.log('x');"],
		['console', 'const { log } = console;'],
		['setTimeout', 'setTimeout(() => {}, 1);'],
		['setInterval', 'const timer = setInterval;'],
		['Bun.sleep', 'await Bun.sleep(1);'],
	])('of %s is refused: %s', async (use, line) => {
		const complaints = await complaintsOf(usageViolations, 'src/db/writer.ts', line);

		expect(complaints.length).toBeGreaterThan(0);
		expect(complaints[0]).toStartWith(`src/db/writer.ts:2 uses ${use}`);
	});

	test.each([
		['src/core/clock.ts', 'export const now = () => Date.now() + performance.now();'],
		['src/core/ids.ts', 'export const id = () => Bun.randomUUIDv7();'],
		['src/core/random.ts', 'crypto.getRandomValues(new Uint8Array(1));'],
		['src/config/options.ts', 'export const env = process.env;'],
		['src/cli/serve.ts', "console.log('x');"],
		['src/db/writer.ts', 'const x = new Date(0); const y = clock.now(); const z = { console: 1 };'],
		['src/db/writer.ts', '// Date.now() is not used here.'],
		['src/db/writer.ts', "const text = 'Date.now()';"],
		['src/db/writer.ts', 'interface X { random: number; env: string; setTimeout: 1 }'],
	])('in %s is allowed: %s', async (path, line) => {
		expect(await complaintsOf(usageViolations, path, line)).toEqual([]);
	});

	test('of a timer is allowed where it is listed, and a listed file must have one', async () => {
		const timer = await parse({ 'src/db/writer.ts': 'setTimeout(() => {}, 1);\n' });
		const none = await parse({ 'src/db/writer.ts': 'export {};\n' });
		const listed = { 'src/db/writer.ts': 'waits' };

		expect(usageViolations(timer, listed)).toEqual([]);
		expect(usageViolations(none, listed)).toEqual([
			'src/db/writer.ts:1 is in TIMERS and has no timer',
		]);
		expect(usageViolations([], listed)).toHaveLength(1);
	});
});

describe('shape', () => {
	const body = (lines: number) => '\tcall();\n'.repeat(lines);

	test.each([
		['an enum', 'src/core/a.ts', 'export enum Kind { A }'],
		['an enum', 'src/core/a.ts', 'declare const enum Kind { A }'],
		['a namespace', 'src/core/a.ts', 'namespace Kinds { export const a = 1; }'],
		['a file called types.ts', 'src/core/types.ts', 'export {};'],
		['a barrel', 'src/core/index.ts', "export * from './a.ts';"],
		['a folder called utils', 'src/core/utils/a.ts', 'export {};'],
		['a folder called common', 'src/common/a.ts', 'export {};'],
		['a folder called helpers', 'src/helpers/a.ts', 'export {};'],
		['a note to self', 'src/core/a.ts', `// ${'TO'}DO: later`],
		['a note to self', 'src/core/a.ts', `const x = 1; // ${'FIX'}ME`],
		['401 lines', 'src/core/a.ts', '\n'.repeat(399)],
		['a function of 71 lines', 'src/core/a.ts', `function long() {\n${body(69)}}`],
		['an arrow of 71 lines', 'src/core/a.ts', `const long = () => {\n${body(69)}};`],
		['a method of 71 lines', 'src/core/a.ts', `const x = { long() {\n${body(69)}} };`],
		['a constructor of 71 lines', 'src/core/a.ts', `class X { constructor() {\n${body(69)}} }`],
		[
			'a function whose own lines are 71',
			'src/core/a.ts',
			`function long() {\n${body(68)}\tconst inner = () => {\n${body(9)}\t};\n}`,
		],
	])('with %s is refused', async (_, path, line) => {
		expect(await complaintsOf(shapeViolations, path, line)).toHaveLength(1);
	});

	test.each([
		['400 lines', '\n'.repeat(398)],
		['a function of 70 lines', `function long() {\n${body(68)}}`],
		[
			'a factory of 130 that makes two of 60',
			`function make() {\n${`\tconst f = () => {\n${body(58)}\t};\n`.repeat(2)}}`,
		],
		['a module declared for files', "declare module '*.css';"],
	])('with %s is allowed', async (_, line) => {
		expect(await complaintsOf(shapeViolations, 'src/core/a.ts', line)).toEqual([]);
	});
});
