/**
 * The ids of a scene within an input, each as one character. So a failing input can be tried again
 * in another scene, is never cut in the middle of an id, and can be printed with their names.
 *
 * The characters are lone surrogates: neither the bytes of a request nor a frame of text can hold
 * one, so that none is mistaken for an id.
 */
import type { Scene } from '../contract/bad-input/valid-requests.ts';

const FIRST = 0xdc00;
/** In a character class with the flag `u`, which leaves the halves of pairs alone. */
const ANY = /[\udc00-\udc0f]/gu;

const IDS: readonly { name: string; of: (scene: Scene) => string }[] = [
	{ name: 'master_key', of: ({ tenant }) => tenant.server.masterKey },
	{ name: 'api_key', of: ({ tenant }) => tenant.api_key },
	{ name: 'spare_tenant_id', of: ({ spare_tenant_id }) => spare_tenant_id },
	{ name: 'tenant_id', of: ({ tenant }) => tenant.tenant_id },
	{ name: 'room_id', of: ({ room_id }) => room_id },
	{ name: 'plan_id', of: ({ plan_id }) => plan_id },
	{ name: 'management_key', of: ({ key }) => key },
	{ name: 'key_id', of: ({ key_id }) => key_id },
];

const idOf = (character: string) => IDS[character.charCodeAt(0) - FIRST];

/** The text with a character in the place of each id. */
export const withNames = (text: string, scene: Scene): string =>
	IDS.reduce(
		(named, id, index) => named.replaceAll(id.of(scene), String.fromCharCode(FIRST + index)),
		text,
	);

/** The text with the ids of this scene. */
export const withIds = (text: string, scene: Scene): string =>
	text.replace(ANY, (character) => idOf(character)?.of(scene) ?? '');

/** The text as a template literal, to be pasted into a test: `/rooms/${room_id}`. */
export function literalOf(text: string): string {
	const characters = [...text].map((character) => {
		const id = idOf(character);
		return id === undefined ? escaped(character) : `\${${id.name}}`;
	});
	return `\`${characters.join('')}\``;
}

const SHORT: Readonly<Record<string, string>> = { '\r': '\\r', '\n': '\\n', '\t': '\\t' };

function escaped(character: string): string {
	if ('`\\$'.includes(character)) return `\\${character}`;
	if (/^[ -~]$/.test(character)) return character;
	const units = character
		.split('')
		.map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
	return SHORT[character] ?? units.join('');
}
