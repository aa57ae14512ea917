/** The docs page's own files. Nothing in them is inline, so that the CSP can forbid inline script. */

export const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ChatAPI</title>
<link rel="icon" type="image/png" href="/swagger/favicon.png">
<link rel="stylesheet" href="/swagger/swagger-ui.css">
<link rel="stylesheet" href="/swagger/page.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript. The document behind it: <a href="/swagger/json">OpenAPI</a></noscript>
<script src="/swagger/swagger-ui-bundle.js"></script>
<script src="/swagger/page.js"></script>
</body>
</html>
`;

/**
 * The dialog holds all credentials side by side. Of answers the page shows what is an operation's own: the
 * errors that are the same everywhere stand there with their sentence only, and headers with successes only.
 */
export const PAGE_CSS = `body { margin: 0; background: #fafafa; }
.dark-mode body { background: #1c2022; }
.swagger-ui .info { margin: 30px 0; }
.swagger-ui .info__license::before { content: 'License: '; }
.swagger-ui .scheme-container { padding: 15px 0; }
.swagger-ui .opblock-tag { flex-wrap: wrap; }
@media (max-width: 640px) {
	.swagger-ui .opblock-tag small { flex: 1 1 100%; order: 1; padding: 5px 0 0; }
	.swagger-ui .opblock-tag a.nostyle { flex: 1; }
}
.swagger-ui .dialog-ux .modal-ux { width: 90%; max-width: 1100px; }
.swagger-ui .dialog-ux .modal-ux-content {
	display: grid;
	grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 1fr));
	max-height: 80vh;
	padding: 10px 20px;
}
.swagger-ui .auth-container,
.swagger-ui .auth-container:last-of-type { border: 0; margin: 0; padding: 5px 10px; }
.swagger-ui .auth-container .wrapper { padding: 0; }
.swagger-ui .auth-btn-wrapper { justify-content: flex-start; padding: 5px 0; }
.swagger-ui .response-col_links { display: none; }
.swagger-ui .responses-table .response:is([data-code^="4"], [data-code^="5"]) :is(
	.response-controls,
	.headers-wrapper
) { display: none; }
.swagger-ui .responses-table:not(.live-responses-table) .response:is(
	[data-code="401"], [data-code="405"], [data-code="413"], [data-code="415"], [data-code="429"],
	[data-code^="5"]
) .model-example { display: none; }
`;

/** @see https://swagger.io/docs/open-source-tools/swagger-ui/usage/configuration/ */
const OPTIONS = {
	url: '/swagger/json',
	dom_id: '#swagger-ui',
	deepLinking: true,
	persistAuthorization: true,
	tryItOutEnabled: true,
	displayRequestDuration: true,
	defaultModelsExpandDepth: 0,
	// The badge would send the document's address to a public service.
	validatorUrl: null,
};

/**
 * Starts the page, as dark as the system wants it. Swagger UI puts the focus on the last credential of the
 * dialog, which scrolls the first out of sight: it is given back to the first.
 */
export const PAGE_SCRIPT = `const dark = matchMedia('(prefers-color-scheme: dark)');
const darken = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', darken);
darken();
window.ui = SwaggerUIBundle(${JSON.stringify(OPTIONS, null, '\t')});
let shown = null;
new MutationObserver(() => {
	const dialog = document.querySelector('.modal-ux-content');
	if (dialog === shown) return;
	shown = dialog;
	dialog?.querySelector('input')?.focus();
	dialog?.scrollTo(0, 0);
}).observe(document.getElementById('swagger-ui'), { childList: true, subtree: true });
`;

/**
 * Only this server, and only files: no inline script, no frame around the page, no form sent.
 * Styles are the exception, because Swagger UI sets them on its elements.
 */
export const PAGE_CSP = [
	"default-src 'none'",
	"script-src 'self'",
	"style-src 'self' 'unsafe-inline'",
	"img-src 'self' data:",
	"connect-src 'self'",
	"base-uri 'none'",
	"form-action 'none'",
	"frame-ancestors 'none'",
].join('; ');
