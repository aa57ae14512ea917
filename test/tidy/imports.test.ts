import { describe, expect, test } from 'bun:test';
import { importViolations } from './imports.ts';
import { complaintsOf, parse } from './samples.ts';

describe('imports', () => {
	// The importing file, and what it may not import.
	test.each([
		['src/core/ids.ts', "import { x } from '../config/options.ts';"],
		['src/core/ids.ts', "import type { X } from '../config/options.ts';"],
		['src/core/ids.ts', "import { type X } from '../config/options.ts';"],
		['src/core/ids.ts', "export { x } from '../config/options.ts';"],
		['src/core/ids.ts', "export * from '../config/options.ts';"],
		['src/core/ids.ts', "type X = import('../config/options.ts').X;"],
		['src/core/ids.ts', "const x = await import('../config/options.ts');"],
		['src/core/ids.ts', 'const x = await import(`../config/options.ts`);'],
		['src/core/ids.ts', "const x = require('../config/options.ts');"],
		['src/core/ids.ts', "import '../config/options.ts';"],
		['src/config/options.ts', "import { x } from '../db/client.ts';"],
		['src/db/client.ts', "import type { Hub } from '../realtime/hub.ts';"],
		['src/realtime/hub.ts', "import type { Writer } from '../db/writer.ts';"],
		['src/db/writer.ts', "import { x } from '../features/keys/schema.ts';"],
		['src/features/keys/schema.ts', "import { x } from './store.ts';"],
		['src/features/keys/store.ts', "import { x } from './service.ts';"],
		['src/features/keys/service.ts', "import { x } from './routes.ts';"],
		['src/features/keys/service/send.ts', "import { x } from '../../../http/face.ts';"],
		['src/http/face.ts', "import { x } from '../ws/gateway.ts';"],
		['src/http/face.ts', "import { x } from '../features/keys/routes.ts';"],
		['src/ws/gateway.ts', "import { x } from '../app/container.ts';"],
		['src/features/keys/routes.ts', "import { x } from '../../app/container.ts';"],
		['src/app/server.ts', "import { x } from '../cli/serve.ts';"],
		['src/cli/serve.ts', "import { x } from '../main.ts';"],
		['src/app/server.ts', "import '../production.ts';"],
		['src/core/ids.ts', "import { x } from '../../test/helpers/server.ts';"],
		['src/core/ids.ts', "import { x } from './deep/down.ts';"],
		['src/features/members/service.ts', "import { x } from '../messages/service.ts';"],
		['src/features/messages/service.ts', "import { x } from '../members/store.ts';"],
		['src/features/messages/routes.ts', "import { x } from '../members/routes.ts';"],
		['src/features/unlisted/service.ts', "import { x } from '../members/service.ts';"],
		['src/core/ids.ts', "import { Elysia } from 'elysia';"],
		['src/features/keys/store.ts', "import { Elysia } from 'elysia';"],
		['src/ws/dispatch.ts', "import type { Context } from 'elysia';"],
		['src/features/keys/service.ts', "import { swagger } from '@elysiajs/swagger';"],
		['src/features/keys/service.ts', "import type { Database } from 'bun:sqlite';"],
		['src/http/face.ts', "import { eq } from 'drizzle-orm';"],
		['src/http/face.ts', "import { x } from 'drizzle-orm/bun-sqlite';"],
	])('in %s are refused: %s', async (path, line) => {
		const complaints = await complaintsOf(importViolations, path, line);

		expect(complaints).toHaveLength(1);
		expect(complaints[0]).toStartWith(`${path}:2 imports `);
	});

	test.each([
		['src/db/client.ts', "import { x } from '../core/ids.ts'; import y from 'bun:sqlite';"],
		['src/core/ids.ts', "import { x } from './errors.ts'; import y from '@sinclair/typebox';"],
		['src/features/messages/service.ts', "import { x } from '../members/service/join.ts';"],
		['src/features/rooms/schema.ts', "import { x } from '../messages/schema.ts';"],
		[
			'src/features/keys/routes.ts',
			"import { x } from '../../http/face.ts'; import y from 'elysia';",
		],
		['src/http/authentication.ts', "import { x } from '../features/keys/service.ts';"],
		['src/cli/version.ts', "import x from '../../package.json' with { type: 'json' };"],
		['src/core/ids.ts', 'const text = "import { x } from \'../config/options.ts\'";'],
	])('in %s are allowed: %s', async (path, line) => {
		expect(await complaintsOf(importViolations, path, line)).toEqual([]);
	});

	test.each([
		'src/utils.ts',
		'src/utils/text.ts',
		'src/core/deep/ids.ts',
		'src/features/keys/other.ts',
		'src/features/keys.ts',
	])('in a file that has no place in the layout are refused: %s', async (path) => {
		const complaints = await complaintsOf(importViolations, path, 'export {};');

		expect(complaints).toEqual([`${path}:1 has no place in the layout of src/`]);
	});

	test('in a circle are refused, type-only ones too, and told once', async () => {
		const circle = await parse({
			'src/core/a.ts': "import { b } from './b.ts';\n",
			'src/core/b.ts': "import type { C } from './c.ts';\n",
			'src/core/c.ts': "import { d } from './d.ts';\nimport { a } from './a.ts';\n",
			'src/core/d.ts': 'export {};\n',
		});
		const itself = await parse({ 'src/core/a.ts': "import { a } from './a.ts';\n" });

		expect(importViolations(circle)).toEqual([
			'src/core/a.ts:1 imports itself in a circle: src/core/a.ts > src/core/b.ts > src/core/c.ts > src/core/a.ts',
		]);
		expect(importViolations(itself)).toHaveLength(1);
	});
});
