import favicon from 'swagger-ui-dist/favicon-32x32.png' with { type: 'file' };
import apacheLicense from 'swagger-ui-dist/LICENSE' with { type: 'file' };
import notice from 'swagger-ui-dist/NOTICE' with { type: 'file' };
import styles from 'swagger-ui-dist/swagger-ui.css' with { type: 'file' };
import bundle from 'swagger-ui-dist/swagger-ui-bundle.js' with { type: 'file' };
import bundleLicenses from 'swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt' with { type: 'file' };
import { PAGE, PAGE_CSP, PAGE_CSS, PAGE_SCRIPT } from './page.ts';

/** Something that a path answers with, the same to everybody for as long as the process lives. */
export interface Asset {
	type: string;
	csp?: string;
	read(): Promise<Uint8Array<ArrayBuffer>>;
}

const CSS = 'text/css; charset=utf-8';
const HTML = 'text/html; charset=utf-8';
const JAVASCRIPT = 'text/javascript; charset=utf-8';
const PNG = 'image/png';
const TEXT = 'text/plain; charset=utf-8';

const embedded = (type: string, path: string): Asset => ({
	type,
	read: () => Bun.file(path).bytes(),
});

const written = (type: string, text: string): Asset => ({
	type,
	read: async () => Buffer.from(text),
});

/** The page and all that it loads, by path. All of it is in the binary. */
export const ASSETS: Readonly<Record<string, Asset>> = {
	'/swagger': { ...written(HTML, PAGE), csp: PAGE_CSP },
	'/swagger/page.css': written(CSS, PAGE_CSS),
	'/swagger/page.js': written(JAVASCRIPT, PAGE_SCRIPT),
	'/swagger/favicon.png': embedded(PNG, favicon),
	'/swagger/swagger-ui.css': embedded(CSS, styles),
	'/swagger/swagger-ui-bundle.js': embedded(JAVASCRIPT, bundle),
	// The bundle names this one; its licence asks for the other two.
	'/swagger/swagger-ui-bundle.js.LICENSE.txt': embedded(TEXT, bundleLicenses),
	'/swagger/LICENSE': embedded(TEXT, apacheLicense),
	'/swagger/NOTICE': embedded(TEXT, notice),
};
