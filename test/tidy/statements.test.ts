import { describe, expect, test } from 'bun:test';
import { statementsOf, tenantViolations } from './statements.ts';

describe('statements', () => {
	test.each([
		['SELECT * FROM rooms WHERE room_id = ?'],
		['SELECT * FROM rooms r JOIN positions p ON p.room = r.room WHERE r.tenant = ?'],
		['SELECT * FROM rooms r, positions p WHERE p.tenant = ?'],
		['UPDATE rooms SET tenant_name = ? WHERE room = ?'],
		['DELETE FROM rooms WHERE room = ?'],
		['INSERT INTO rooms (room, name) VALUES (?, ?)'],
		['select "name" from "rooms" where "rooms"."room" = ?'],
		["SELECT 'tenant = 1' FROM rooms"],
		[
			'SELECT * FROM rooms WHERE tenant = ? AND room = (SELECT room FROM positions WHERE user_id = ?)',
		],
		['UPDATE positions SET seq = (SELECT max(seq) FROM messages WHERE tenant = ?) WHERE room = ?'],
		['INSERT INTO positions (tenant, room) SELECT ?, room FROM rooms WHERE room = ?'],
		['WITH mine AS (SELECT room FROM rooms WHERE room = ?) SELECT * FROM mine'],
	])('that name no tenant are refused: %s', (statement) => {
		expect(tenantViolations([statement], [])).toHaveLength(1);
	});

	test.each([
		['SELECT * FROM rooms WHERE tenant = ? AND room_id = ?'],
		['SELECT * FROM rooms r JOIN positions p ON p.tenant = r.tenant WHERE r.tenant = $tenant'],
		['select "name" from "rooms" where ("rooms"."tenant" = ? and "rooms"."room" = ?)'],
		['UPDATE rooms SET name = ? WHERE tenant = ? AND room = ?'],
		['INSERT INTO rooms (tenant, room) VALUES (?, ?) ON CONFLICT (tenant, room) DO NOTHING'],
		['SELECT * FROM tenants WHERE tenant_id = ?'],
		['SELECT value FROM json_each(?)'],
		[
			'INSERT INTO rooms (tenant, room) VALUES (?, ?) ON CONFLICT (tenant, room) DO UPDATE SET name = ?',
		],
		['INSERT INTO positions (tenant, room) SELECT tenant, room FROM rooms WHERE tenant = ?'],
		['UPDATE positions SET seq = (SELECT seq FROM heads WHERE tenant = ?) WHERE tenant = ?'],
		['WITH mine AS (SELECT room FROM rooms WHERE tenant = ?) SELECT * FROM mine'],
	])('that name their tenant are allowed: %s', (statement) => {
		expect(tenantViolations([statement], [])).toEqual([]);
	});

	test('that are excepted must be there', () => {
		const exceptions = [{ sql: 'WHERE prefix = ?', why: 'it finds the tenant' }];

		expect(tenantViolations(['SELECT * FROM api_keys WHERE prefix = ?'], exceptions)).toEqual([]);
		expect(tenantViolations([], exceptions)).toHaveLength(1);
	});

	test('are seen as the database is asked to prepare them, by whichever way', () => {
		const schema = ['CREATE TABLE rooms (tenant INTEGER, room INTEGER)'];

		const statements = statementsOf(schema, (db) => {
			db.query('SELECT room FROM rooms').all();
			db.prepare('DELETE FROM rooms').finalize();
		});

		expect(statements).toEqual(['SELECT room FROM rooms', 'DELETE FROM rooms']);
		expect(tenantViolations(statements, [])).toHaveLength(2);
	});
});
