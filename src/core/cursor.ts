/**
 * A place in a tenant's event log, as clients see it: 16 characters of `0-9a-v`. The first five name the
 * log's epoch, the rest hold the number, so that within an epoch plain string comparison orders
 * cursors as they happened. To clients the string is opaque but for that comparison.
 */
export interface Cursor {
	epoch: string;
	number: number;
}

const EPOCH_LENGTH = 5;
const NUMBER_LENGTH = 11;
const CURSOR = /^[0-9a-v]{16}$/;

/** The last four digits are looked up in pairs, the rest is remembered: cursors come in rising runs. */
const PAIRS = Array.from({ length: 32 ** 2 }, (_, pair) => pair.toString(32).padStart(2, '0'));
const TAIL = 32 ** 4;
let lastHead = Number.NaN;
let lastHeadText = '';

export function encodeCursor(epoch: string, number: number): string {
	const head = Math.floor(number / TAIL);
	if (head !== lastHead) {
		lastHeadText = head.toString(32).padStart(NUMBER_LENGTH - 4, '0');
		lastHead = head;
	}
	const tail = number - head * TAIL;
	return epoch + lastHeadText + PAIRS[tail >> 10] + PAIRS[tail & 1023];
}

/** Whether a text has the form of a cursor. */
export const isCursor = (text: string): boolean => CURSOR.test(text);

/** The parts of a cursor, or undefined for anything that `encodeCursor` did not write. */
export function decodeCursor(text: string): Cursor | undefined {
	if (!isCursor(text)) return undefined;
	const number = Number.parseInt(text.slice(EPOCH_LENGTH), 32);
	return Number.isSafeInteger(number) ? { epoch: text.slice(0, EPOCH_LENGTH), number } : undefined;
}

/** A name for a new life of a log, from at least four random bytes. */
export function createEpoch(random: Uint8Array): string {
	const number = new DataView(random.buffer, random.byteOffset).getUint32(0) % 32 ** EPOCH_LENGTH;
	return number.toString(32).padStart(EPOCH_LENGTH, '0');
}
