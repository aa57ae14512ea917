import { AppError } from '../core/errors.ts';

const ENTITY_TAGS = /^"\d{1,16}"(\s*,\s*"\d{1,16}")*$/;

/**
 * The versions that `If-Match` names; undefined where any will do.
 *
 * @throws `VALIDATION_ERROR` for what is neither `*` nor a list of our entity tags.
 * @see https://www.rfc-editor.org/rfc/rfc9110#name-if-match
 */
export function ifMatchOf(headers: Headers): readonly number[] | undefined {
	const text = headers.get('If-Match')?.trim();
	if (text === undefined || text === '*') return undefined;
	if (text.length <= 1000 && ENTITY_TAGS.test(text)) {
		return [...text.matchAll(/\d+/g)].map(([digits]) => Number(digits));
	}
	throw new AppError('VALIDATION_ERROR', 'Must be the ETag of an answer, such as "3", or *', {
		field: 'If-Match',
	});
}
