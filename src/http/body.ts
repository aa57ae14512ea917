import { AppError } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';

/**
 * A request's JSON object. No body at all is an empty object: what is missing is then named.
 *
 * @throws `UNSUPPORTED_MEDIA_TYPE` for a body not declared as one of `mediaTypes`.
 * @throws `PAYLOAD_TOO_LARGE` above `bytesMax`; no more than that is ever held.
 * @throws `VALIDATION_ERROR` for what is no JSON object.
 */
export async function readBody(
	request: Request,
	bytesMax: number,
	mediaTypes: readonly string[],
): Promise<Record<string, unknown>> {
	const declared = request.headers.get('Content-Length');
	if (declared !== null && Number(declared) > bytesMax) throw tooLarge(bytesMax);
	const bytes = await readBytes(request, declared, bytesMax);
	if (bytes.length === 0) return {};
	requireMediaType(request.headers.get('Content-Type'), mediaTypes);
	const value = parseJson(bytes);
	if (typeof value !== 'object' || value === null || Array.isArray(value)) {
		throw new AppError('VALIDATION_ERROR', 'The body must be a JSON object');
	}
	return value as Record<string, unknown>;
}

async function readBytes(
	request: Request,
	declared: string | null,
	bytesMax: number,
): Promise<Uint8Array> {
	try {
		if (declared === null) return await readBounded(request.body, bytesMax);
		return await request.bytes();
	} catch (error) {
		if (error instanceof AppError) throw error;
		// The client went away before its body was whole: nobody reads this, and it is no defect.
		throw new AppError('VALIDATION_ERROR', 'The body ended early');
	}
}

/** A body of unknown length, given up as soon as it is too long. */
async function readBounded(
	body: ReadableStream<Uint8Array> | null,
	bytesMax: number,
): Promise<Uint8Array> {
	if (body === null) return new Uint8Array();
	const chunks: Uint8Array[] = [];
	let length = 0;
	for await (const chunk of body) {
		length += chunk.length;
		if (length > bytesMax) throw tooLarge(bytesMax);
		chunks.push(chunk);
	}
	return Buffer.concat(chunks);
}

function requireMediaType(header: string | null, mediaTypes: readonly string[]): void {
	const type = header?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
	if (mediaTypes.includes(type)) return;
	throw new AppError(
		'UNSUPPORTED_MEDIA_TYPE',
		`The body must be declared as Content-Type: ${mediaTypes.join(' or ')}`,
	);
}

const tooLarge = (bytesMax: number) =>
	new AppError('PAYLOAD_TOO_LARGE', `The body must be at most ${bytesMax} bytes`);
