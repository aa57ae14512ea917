import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { openDatabase } from '../../../src/db/client.ts';
import { migrateDatabase } from '../../../src/db/migrate.ts';
import { tenantTables } from '../../../src/db/tenant-tables.ts';
import { createUsageStore } from '../../../src/features/usage/store.ts';
import { useTempFolders } from '../db/temp-folder.ts';

const tempFolder = useTempFolders();

test('every table that the database has for tenants is weighed, but for our own books', () => {
	const folder = tempFolder();
	const path = join(folder, 'chatapi.db');
	migrateDatabase(path, join(folder, 'backups'), 0);
	const db = openDatabase(path, 'write');

	const weighed = createUsageStore(db)
		.weighed()
		.map(({ name }) => name);
	const owned = tenantTables(db).map(({ name }) => name);
	db.close();

	expect(weighed.toSorted()).toEqual(owned.filter((name) => !/^usage_/.test(name)).toSorted());
});
