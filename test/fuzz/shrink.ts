/** How inputs are made smaller: the large parts first, then members, then characters. */
import { type Fails, leaveOut } from './minimise.ts';

/** The bytes of a request, each as a character; ids may stand as one character (names.ts). */
export interface RequestInput {
	text: string;
	/** Whether the runtime's parser may refuse it, or end the connection. */
	mayEnd: boolean;
}

/** A frame; the bytes of a binary one, each as a character. */
export interface FrameInput {
	text: string;
	isBinary: boolean;
}

/** A character of UTF-8, as its bytes or as it is, or one that JSON escapes. */
const CHARACTER =
	/\\u[\da-fA-F]{4}|\\.|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}|[\s\S]/gu;

/** Leaves out characters, runs of them first; then what they are written with. */
export async function shrinkText(text: string, fails: Fails<string>): Promise<string> {
	const joined = (parts: readonly string[]) => fails(parts.join(''));
	const whole = (await leaveOut(text.match(CHARACTER) ?? [], joined)).join('');
	return (await leaveOut([...whole], joined)).join('');
}

/** Leaves out members of objects and arrays, the outermost first; then characters. */
export async function shrinkJson(text: string, fails: Fails<string>): Promise<string> {
	return shrinkText(await shrinkMembers(text, fails), fails);
}

/** Works on what is no valid JSON as well, as far as it looks like it. */
async function shrinkMembers(text: string, fails: Fails<string>): Promise<string> {
	const inner = membersOf(text);
	if (inner === undefined) return text;
	const whole = (members: readonly string[]) => `${text[0]}${members.join()}${text.at(-1)}`;
	let kept = await leaveOut(inner, (members) => fails(whole(members)));
	const [only, ...others] = kept.map((member) => member.slice(nameOf(member).length));
	// What is in it may fail without it.
	if (only !== undefined && others.length === 0 && (await fails(only))) {
		return shrinkMembers(only, fails);
	}
	for (const [index, member] of kept.entries()) {
		const name = nameOf(member);
		const withValue = (value: string) => kept.with(index, name + value);
		const value = await shrinkMembers(member.slice(name.length), (smaller) =>
			fails(whole(withValue(smaller))),
		);
		kept = withValue(value);
	}
	return whole(kept);
}

/** The name of an object's member, with its colon; nothing for what has none. */
const nameOf = (member: string): string => /^"(?:[^"\\]|\\.)*":/.exec(member)?.[0] ?? '';

/** What stands between the commas of an object or array; undefined for anything else. */
function membersOf(text: string): string[] | undefined {
	const ends = `${text[0]}${text.at(-1)}`;
	if (text.length < 2 || (ends !== '{}' && ends !== '[]')) return undefined;
	const tokens = text.slice(1, -1).match(/"(?:[^"\\]|\\.)*"|[\s\S]/g) ?? [];
	const members: string[] = [];
	let depth = 0;
	let member = '';
	for (const token of tokens) {
		if (token === '{' || token === '[') depth++;
		else if (token === '}' || token === ']') depth--;
		if (token === ',' && depth === 0) {
			members.push(member);
			member = '';
		} else member += token;
	}
	return tokens.length === 0 ? [] : [...members, member];
}

interface HttpText {
	/** Method and version stay: without them it would be no HTTP. */
	method: string;
	target: string;
	version: string;
	/** Whole lines that HTTP asks for, and the others. */
	fixed: readonly string[];
	headers: readonly string[];
	body: string;
}

/**
 * Leaves out headers, then parts of the body, then characters of the headers' values and of the
 * target. It stays a whole request, with the right length: half of one would fail for reasons of
 * its own. What was broken on purpose is cut anywhere.
 */
export async function shrinkRequest(
	input: RequestInput,
	fails: Fails<RequestInput>,
	lengthOf: (body: string) => number,
): Promise<RequestInput> {
	const failsAs = (text: string) => fails({ ...input, text });
	const parsed = input.mayEnd ? undefined : parseRequest(input.text);
	if (parsed === undefined) return { ...input, text: await shrinkText(input.text, failsAs) };

	let kept = parsed;
	const textOf = (change: Partial<HttpText>) => writeRequest({ ...kept, ...change }, lengthOf);
	const failsWith = (change: Partial<HttpText>) => failsAs(textOf(change));

	kept = { ...kept, headers: await leaveOut(kept.headers, (headers) => failsWith({ headers })) };
	kept = { ...kept, body: await shrinkJson(kept.body, (body) => failsWith({ body })) };
	const target = await shrinkText(kept.target, (rest) => failsWith({ target: rest }));
	kept = { ...kept, target };
	for (const [index, line] of kept.headers.entries()) {
		const name = `${line.split(':', 1)[0]}: `;
		const withValue = (value: string) => kept.headers.with(index, name + value);
		const value = await shrinkText(line.slice(name.length), (rest) =>
			failsWith({ headers: withValue(rest) }),
		);
		kept = { ...kept, headers: withValue(value) };
	}
	return { ...input, text: textOf({}) };
}

const LENGTH = 'Content-Length: ';
const IS_FIXED = /^(Host|Content-Length):/;

function parseRequest(text: string): HttpText | undefined {
	const parts = /^(\S+ \/)(\S*)( HTTP\/1\.1)\r\n((?:[^\r\n]+\r\n)*)\r\n([\s\S]*)$/.exec(text);
	if (parts === null) return undefined;
	const [, method = '', target = '', version = '', head = '', body = ''] = parts;
	const lines = head.split('\r\n').slice(0, -1);
	return {
		method,
		target,
		version,
		fixed: lines.filter((line) => IS_FIXED.test(line)),
		headers: lines.filter((line) => !IS_FIXED.test(line)),
		body,
	};
}

function writeRequest(
	{ method, target, version, fixed, headers, body }: HttpText,
	lengthOf: (body: string) => number,
): string {
	const first = fixed.map((line) => (line.startsWith(LENGTH) ? LENGTH + lengthOf(body) : line));
	return [`${method}${target}${version}`, ...first, ...headers, '', body].join('\r\n');
}

/** Leaves out frames, then parts of each that is left. */
export async function shrinkFrames(
	frames: readonly FrameInput[],
	fails: Fails<readonly FrameInput[]>,
): Promise<readonly FrameInput[]> {
	let kept = await leaveOut(frames, fails);
	for (const [index, frame] of kept.entries()) {
		const withText = (text: string) => kept.with(index, { ...frame, text });
		kept = withText(await shrinkJson(frame.text, (text) => fails(withText(text))));
	}
	return kept;
}
