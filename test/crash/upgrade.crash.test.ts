/**
 * A database of an older version, brought up to date by a server that is killed meanwhile: in the end it
 * holds what one holds that was left in peace, and what the old one held.
 *
 * `UPGRADES=50` makes it long, `SEED=…` makes it the same again as far as timing lets it.
 */
import { Database } from 'bun:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BINARY } from '../helpers/server.ts';
import { within } from '../helpers/wait.ts';
import { createRandomness, seedOfRun } from './randomness.ts';
import { report, startVictim, type VictimOptions } from './victim.ts';

const UPGRADES = Number(process.env.UPGRADES ?? 8);
/** A whole upgrade takes about as long; some kills come before it begins, some behind it. */
const KILL_MS_MAX = 250;
const KILLS_AN_UPGRADE = 3;

const FIXTURES = join(import.meta.dir, 'fixtures');
/** What is written as it starts: by the clock, or by chance. */
const BY_CLOCK = /^(__drizzle_migrations|presence_heads)$/;

let folder: string;
beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), 'chatapi-upgrade-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A data directory with a database as the fixture has it. */
function dataDirOf(fixture: string): string {
	const dataDir = mkdtempSync(join(folder, 'data-'));
	const db = new Database(join(dataDir, 'chatapi.db'), { create: true });
	db.run('PRAGMA journal_mode = WAL');
	db.transaction(() => db.run(readFileSync(join(FIXTURES, fixture), 'utf8')))();
	db.close();
	return dataDir;
}

const victimOf = (dataDir: string): VictimOptions => ({
	command: [BINARY],
	cwd: folder,
	dataDir,
});

/** Starts the server and asks it to end. */
async function upgrade(dataDir: string): Promise<void> {
	const server = await startVictim(victimOf(dataDir));
	expect(await server.stop()).toBe(0);
}

/** Kills the server so long after its start. Whether it listened by then does not matter. */
async function killAfter(dataDir: string, ms: number): Promise<void> {
	const child = Bun.spawn([BINARY], {
		cwd: folder,
		env: { PATH: process.env.PATH ?? '', LISTEN_ADDR: '127.0.0.1:0', DATA_DIR: dataDir },
		stdin: 'ignore',
		stdout: 'ignore',
		stderr: 'ignore',
	});
	await Bun.sleep(ms);
	child.kill('SIGKILL');
	await within(child.exited, 'the end of a killed server');
}

/** Every row of every table, and the schema, as lines in an order of their own. */
function dumpOf(dataDir: string): string[] {
	const db = new Database(join(dataDir, 'chatapi.db'), { readonly: true });
	try {
		expect(db.query('PRAGMA integrity_check').values()).toEqual([['ok']]);
		expect(db.query('PRAGMA foreign_key_check').values()).toEqual([]);
		const schema = db
			.query<{ name: string; type: string; sql: string }, []>(
				"SELECT name, type, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name",
			)
			.all();
		const rows = schema
			.filter(({ name, type }) => type === 'table' && !BY_CLOCK.test(name))
			.flatMap(({ name }) =>
				db
					.query(`SELECT * FROM "${name}"`)
					.values()
					.map((row) => `${name} ${JSON.stringify(row)}`)
					.sort(),
			);
		return [...schema.map(({ sql }) => sql), ...rows];
	} finally {
		db.close();
	}
}

for (const fixture of readdirSync(FIXTURES)) {
	describe(fixture, () => {
		test('keeps its messages, events and members, as the old server stored them', async () => {
			const dataDir = dataDirOf(fixture);
			const before = new Database(join(dataDir, 'chatapi.db'), { readonly: true });
			const kept = {
				messages: 'SELECT * FROM messages ORDER BY tenant, room, seq',
				events: 'SELECT * FROM events ORDER BY tenant, cursor',
				members: `SELECT m.tenant, m.room, m.user_id, m.role, p.read_seq, p.delivered_seq
					FROM memberships m JOIN positions p USING (tenant, room, user_id)
					ORDER BY m.tenant, m.room, m.user_id`,
				keys: 'SELECT tenant, key_id, prefix, hash, revoked_at FROM api_keys ORDER BY key_id',
				tokens: 'SELECT * FROM user_tokens ORDER BY prefix',
				users: 'SELECT tenant, user_id, name, metadata FROM users ORDER BY tenant, user_id',
				heads: 'SELECT tenant, epoch, last_cursor, last_room FROM tenant_heads ORDER BY tenant',
			};
			const readAll = (db: Database) =>
				Object.entries(kept).map(([name, sql]) => [name, db.query(sql).values()] as const);
			const live = before
				.query('SELECT count(*) FROM memberships WHERE left_cursor IS NULL')
				.values();
			const old = new Map(readAll(before));
			before.close();

			await upgrade(dataDir);

			const after = new Database(join(dataDir, 'chatapi.db'), { readonly: true });
			for (const [name, rows] of readAll(after)) {
				if (name !== 'members') expect({ name, rows }).toEqual({ name, rows: old.get(name) ?? [] });
				expect(rows.length).toBeGreaterThan(1);
			}
			expect(after.query('SELECT count(*) FROM memberships').values()).toEqual(live);
			after.close();
		});

		test(
			`is the same after kills at ${UPGRADES * KILLS_AN_UPGRADE} moments as in peace`,
			async () => {
				const seed = seedOfRun();
				const random = createRandomness(seed);
				const peaceful = dataDirOf(fixture);
				await upgrade(peaceful);
				const expected = dumpOf(peaceful);
				expect(expected.length).toBeGreaterThan(300);

				for (let count = 0; count < UPGRADES; count++) {
					const dataDir = dataDirOf(fixture);
					for (let kill = 0; kill < KILLS_AN_UPGRADE; kill++) {
						await killAfter(dataDir, random.between(0, KILL_MS_MAX));
					}
					await upgrade(dataDir);
					expect(dumpOf(dataDir)).toEqual(expected);
					rmSync(dataDir, { recursive: true });
				}
				report(`${fixture}: ${UPGRADES} upgrades, ${UPGRADES * KILLS_AN_UPGRADE} kills, all alike`);
			},
			60_000 + UPGRADES * 10_000,
		);

		test('that is a copy which lost a row is not taken for the same', async () => {
			const [one, other] = [dataDirOf(fixture), dataDirOf(fixture)];
			const db = new Database(join(other, 'chatapi.db'));
			db.run('DELETE FROM events WHERE tenant = 1 AND cursor = 1');
			db.close();
			await Promise.all([upgrade(one), upgrade(other)]);

			expect(dumpOf(other)).not.toEqual(dumpOf(one));
		});
	});
}
