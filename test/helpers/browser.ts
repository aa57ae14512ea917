/** The browser for tests of what a page may do: Chromium, where there is one. */

/** Undefined where none is found; tests of pages are skipped then. */
export const CHROMIUM: string | undefined =
	process.env.CHROMIUM ??
	['chromium', 'chromium-browser', 'google-chrome'].map((name) => Bun.which(name)).find(Boolean) ??
	undefined;

/** It asks nobody but the pages of the test. */
export const CHROMIUM_FLAGS: readonly string[] = [
	...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'],
	...['--disable-background-networking', '--disable-component-update'],
];
