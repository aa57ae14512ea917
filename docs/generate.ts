/** Writes the pages that are derived from the source: `npm run docs`. A test sees that they are fresh. */
import { join } from 'node:path';
import { OPTIONS, type Option, type OptionKind } from '../src/config/options.ts';
import { ERRORS, errorBodyOf } from '../src/core/errors.ts';

const NOTICE =
	'<!-- Written by docs/generate.ts. Change the table it comes from, then: npm run docs -->';

/** How a value of a kind without bounds is written. */
const FORMS: Readonly<Record<Exclude<OptionKind, 'integer' | 'duration' | 'bytes'>, string>> = {
	text: 'text',
	secret: 'secret',
	list: 'list',
	ranges: 'list',
};

/** The generated pages by their path in the repository. */
export const pages = (): Readonly<Record<string, string>> => ({
	'docs/configuration.md': configurationPage(),
	'docs/errors.md': errorsPage(),
});

function configurationPage(): string {
	const rows = Object.entries<Option>(OPTIONS).map(([name, option]) => [
		`\`${name}\``,
		option.default === '' ? 'none' : `\`${option.default}\``,
		valuesOf(option),
		option.summary,
	]);
	return `${NOTICE}

# Configuration

Every setting is an environment variable. \`chatapi --help\` prints the same list. An empty variable counts as absent.
The server reads them once, at its start, and reports every mistake at once before it touches the data directory;
the report repeats no value, for one of them could be a secret. No file is read but those that a \`…_FILE\` variable names:
neither \`.env\` nor a configuration file in the working directory.

| Setting | Default | Values | What it is |
|---|---|---|---|
${tableRows(rows)}

- **secret**: may stand in a file instead, which the variable with \`_FILE\` behind its name names; the text is
  trimmed. Setting both is a mistake.
- **duration**: a whole number and \`ms\`, \`s\`, \`m\`, \`h\` or \`d\`: \`500ms\`, \`30s\`, \`7d\`.
- **size**: a whole number of bytes, or one with \`KiB\` or \`MiB\` behind it: \`65536\`, \`256KiB\`, \`1MiB\`.
- **list**: items separated by commas; spaces around them do not count.
`;
}

/** What the schema of an option lets through, beyond the form of its kind. */
function valuesOf(option: Option): string {
	const schema = option.schema as { minimum?: number; maximum?: number; enum?: string[] };
	const { minimum = 0, maximum = Number.MAX_SAFE_INTEGER } = schema;
	if (schema.enum !== undefined) return schema.enum.map((value) => `\`${value}\``).join(', ');
	switch (option.kind) {
		case 'integer': {
			const zero = minimum === 0 ? '; 0: no limit' : '';
			return `${shown(minimum)} to ${shown(maximum)}${zero}`;
		}
		case 'duration':
			return `duration, up to ${maximum / 3_600_000}h`;
		case 'bytes':
			return `size, up to ${maximum / 1024 ** 2}MiB`;
		default:
			return FORMS[option.kind];
	}
}

const shown = (number: number): string => number.toLocaleString('en-US');

function errorsPage(): string {
	const rows = Object.entries(ERRORS).map(([code, { status, retryable, summary }]) => [
		`\`${code}\``,
		String(status),
		retryable ? 'yes' : 'no',
		summary,
	]);
	return `${NOTICE}

# Errors

| Code | Status | Retryable | When |
|---|---|---|---|
${tableRows(rows)}

Over HTTP every error has this body, whatever the route, and whether or not there is one:

\`\`\`json
${JSON.stringify({ success: false, error: EXAMPLE }, null, '\t')}
\`\`\`

Over a WebSocket the same fields stand in an \`error\` frame; its \`request_id\` is the frame's own, and absent where the
frame had none:

\`\`\`json
${JSON.stringify({ type: 'error', ...EXAMPLE, request_id: '7' })}
\`\`\`

Three answers are not this one: \`/health\` and \`/readyz\` say 503 in their own form, and what is no HTTP at all, or a body
above 128 MiB, is refused by the runtime without a body.

- \`code\` is what a client acts on; \`message\` is for developers, may change, and never repeats what was sent.
- \`field\` names what is wrong: a name at the top level (of the body, the query, the path or a header), or a JSON pointer
  to something nested.
- \`request_id\` is also the answer's \`X-Request-Id\`. A request may bring its own there: 1 to 64 of \`A-Z a-z 0-9 . _ -\`, and nothing that looks like a secret, such as a key, a token, or more than 32 letters and digits in a row; else it gets a new one.
- \`retryable\` says whether the same request can succeed later. \`retry_after_ms\`, where it is known, says when; the
  \`Retry-After\` header says it in whole seconds.
- A send that was cut off, or answered 503, may have been stored. Sending it again with the same \`client_msg_id\` is safe.
`;
}

const EXAMPLE = {
	...errorBodyOf(undefined, 'req_01jd5v8p3k7x2m9q4w6y0z1abc'),
	code: 'RATE_LIMIT_EXCEEDED',
	message: 'Rate limit exceeded: the bucket "requests" of this tenant is empty',
	retry_after_ms: 250,
};

const tableRows = (rows: readonly (readonly string[])[]): string =>
	rows
		.map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
		.join('\n');

if (import.meta.main) {
	const root = join(import.meta.dir, '..');
	for (const [path, text] of Object.entries(pages())) await Bun.write(join(root, path), text);
}
