import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import type { TenantId, TenantNo } from '../../../src/core/ids.ts';
import { openDatabase } from '../../../src/db/client.ts';
import { createEventLog, type EventRow } from '../../../src/db/event-log.ts';
import { createLogHeads } from '../../../src/db/log-heads.ts';
import { createMessageQuotas } from '../../../src/db/message-quotas.ts';
import { migrateDatabase } from '../../../src/db/migrate.ts';
import { createQuotaRows } from '../../../src/db/quota-rows.ts';
import { useTempFolders } from './temp-folder.ts';

const tempFolder = useTempFolders();
const [ONE, TWO, NOBODY] = [1, 2, 3] as TenantNo[] as [TenantNo, TenantNo, TenantNo];

function openLog() {
	const folder = tempFolder();
	const path = join(folder, 'chatapi.db');
	migrateDatabase(path, join(folder, 'backups'), 0);
	const db = openDatabase(path, 'write');
	for (const tenant of [ONE, TWO]) {
		db.run(
			`INSERT INTO tenants (tenant, tenant_id, name, status, created_at, updated_at)
			VALUES (${tenant}, 'tenant_${tenant}', 'x', 'active', 0, 0)`,
		);
		db.run(
			`INSERT INTO tenant_heads (tenant, epoch, last_cursor, last_room) VALUES (${tenant}, 'epoc${tenant}', ${tenant * 10}, 0)`,
		);
	}
	return { db, log: createEventLog(db), rows: createQuotaRows(db) };
}

const row = (tenant: TenantNo, cursor: number, rest: Partial<EventRow> = {}): EventRow => ({
	tenant,
	cursor,
	stream: 'r/1',
	type: 'room.created',
	ref: null,
	payload: '{"a":1}',
	created_at: 5,
	...rest,
});

const whose = (tenant: TenantNo) => ({ tenant, tenant_id: `tenant_${tenant}` as TenantId });
const NO_MESSAGES = { message_day: 0, day_messages: 0, month_messages: 0 };

describe('the event log', () => {
	test('tells the head of a tenant, and of nobody else', () => {
		const { log } = openLog();

		expect(log.findHead(ONE)).toEqual({ epoch: 'epoc1', last_cursor: 10 });
		expect(log.findHead(TWO)).toEqual({ epoch: 'epoc2', last_cursor: 20 });
		expect(log.findHead(NOBODY)).toBeUndefined();
	});

	test('moves the head of one tenant only', () => {
		const { log } = openLog();

		log.moveHead(ONE, 12, NO_MESSAGES);

		expect(log.findHead(ONE)?.last_cursor).toBe(12);
		expect(log.findHead(TWO)?.last_cursor).toBe(20);
	});

	test('keeps what is appended as it was given', () => {
		const { db, log } = openLog();
		const rows = [row(ONE, 1), row(ONE, 2, { ref: 7, payload: null }), row(TWO, 1)];

		for (const each of rows) log.append(each);

		expect(db.query('SELECT * FROM events ORDER BY tenant, cursor').all()).toEqual(rows);
	});

	test('takes a cursor once per tenant', () => {
		const { log } = openLog();
		log.append(row(ONE, 1));

		expect(() => log.append(row(ONE, 1, { stream: 'r/2' }))).toThrow('UNIQUE constraint failed');
		log.append(row(TWO, 1));
	});
});

describe('the heads of a batch', () => {
	test('are read once, counted in memory, and stored at the end', () => {
		const { log, rows } = openLog();
		const heads = createLogHeads(log, rows, createMessageQuotas());

		expect(heads.placeOf(whose(ONE))).toMatchObject({ epoch: 'epoc1', cursor: 11 });
		heads.advance(ONE, 2);
		expect(heads.placeOf(whose(ONE))).toMatchObject({ epoch: 'epoc1', cursor: 13 });
		expect(log.findHead(ONE)?.last_cursor).toBe(10);
		heads.store();

		expect(log.findHead(ONE)?.last_cursor).toBe(12);
	});

	test('leave alone a tenant that was looked at and had no event', () => {
		const { log, rows } = openLog();
		const heads = createLogHeads(log, rows, createMessageQuotas());
		heads.placeOf(whose(TWO));
		heads.advance(TWO, 0);
		log.moveHead(TWO, 25, NO_MESSAGES);

		heads.store();

		expect(log.findHead(TWO)?.last_cursor).toBe(25);
	});

	test('do not advance for who has no log', () => {
		const { log, rows } = openLog();
		const heads = createLogHeads(log, rows, createMessageQuotas());
		heads.placeOf(whose(NOBODY));

		expect(() => heads.advance(NOBODY, 1)).toThrow('only a tenant has events');
		heads.advance(NOBODY, 0);
	});
});
