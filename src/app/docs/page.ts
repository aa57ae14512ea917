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

// The dialog is made wide enough for all credentials: Swagger UI puts the focus on the last one, and
// in its narrow form scrolls the others out of sight.
export const PAGE_CSS = `body { margin: 0; background: #fafafa; }
.swagger-ui .dialog-ux .modal-ux { width: 90%; max-width: 900px; }
.swagger-ui .dialog-ux .modal-ux-content {
	display: grid;
	grid-template-columns: repeat(auto-fit, minmax(min(320px, 100%), 1fr));
	max-height: 80vh;
}
.swagger-ui .auth-container { border: 0; }
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

export const PAGE_SCRIPT = `window.ui = SwaggerUIBundle(${JSON.stringify(OPTIONS, null, '\t')});
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
