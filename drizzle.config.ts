import { defineConfig } from 'drizzle-kit';

/** `npm run generate` writes a migration; make its new tables STRICT and WITHOUT ROWID by hand. */
export default defineConfig({
	dialect: 'sqlite',
	schema: ['./src/db/tables.ts', './src/db/notification-tables.ts'],
	out: './drizzle',
});
