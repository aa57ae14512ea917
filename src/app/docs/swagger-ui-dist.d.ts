/** Files of swagger-ui-dist as the bundler embeds them `with { type: 'file' }`: each is its path. */
declare module 'swagger-ui-dist/swagger-ui-bundle.js' {
	const path: string;
	export default path;
}
declare module 'swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt' {
	const path: string;
	export default path;
}
declare module 'swagger-ui-dist/swagger-ui.css' {
	const path: string;
	export default path;
}
declare module 'swagger-ui-dist/favicon-32x32.png' {
	const path: string;
	export default path;
}
declare module 'swagger-ui-dist/LICENSE' {
	const path: string;
	export default path;
}
declare module 'swagger-ui-dist/NOTICE' {
	const path: string;
	export default path;
}
