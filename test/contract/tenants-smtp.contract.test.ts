/** A tenant's SMTP server: its password is stored encrypted, shown to nobody, and no other key opens it. */
import { expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bodyOf, errorOf } from '../helpers/http.ts';
import { randomSecret, startServer } from '../helpers/server.ts';
import { createTenant, operator } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import type { AuditPage, Tenant } from '../helpers/wire.ts';

const used = useServer();
const PASS = 'canary-Pa55-of-smtp-9Zx';
const SMTP = { host: 'smtp.acme.example', port: 587, user: 'mailer', pass: PASS, secure: true };
const { pass: _, ...SHOWN } = SMTP;

test('is shown without its password, merged, and taken away by null', async () => {
	const { tenant_id } = await createTenant(used.server);
	const patch = (smtp: unknown) =>
		operator(used.server).patch<Tenant>(`/admin/tenants/${tenant_id}`, { smtp });

	const set = await patch(SMTP);
	const merged = await patch({ port: 465, from: 'chat@acme.example', secure: null });
	const gone = await patch(null);

	expect(bodyOf(set, 200).smtp).toEqual({ ...SHOWN, password: 'set' });
	const { secure: __, ...rest } = SHOWN;
	expect(bodyOf(merged, 200).smtp).toEqual({
		...{ ...rest, port: 465 },
		...{ from: 'chat@acme.example', password: 'set' },
	});
	expect(bodyOf(gone, 200).smtp).toBeNull();
	for (const { text } of [set, merged, gone]) expect(text).not.toContain(PASS);
});

test('sent again with the same password changes nothing: no version, no entry; another one is a change', async () => {
	const { tenant_id } = await createTenant(used.server);
	const path = `/admin/tenants/${tenant_id}`;
	const patch = (smtp: unknown) => operator(used.server).patch<Tenant>(path, { smtp });
	const set = await patch(SMTP);

	const again = await patch(SMTP);
	const alone = await patch({ pass: PASS });
	const elsewhere = await patch({ ...SMTP, host: 'smtp.other.example' });
	const other = await patch({ pass: `${PASS}2` });
	const back = await patch({ pass: PASS });

	expect(bodyOf(set, 200).version).toBe(2);
	for (const { status, text, headers } of [again, alone]) {
		expect({ status, text, tag: headers.get('ETag') }).toEqual({
			...{ status: 200, text: set.text, tag: '"2"' },
		});
	}
	const versions = [elsewhere, other, back].map((answer) => bodyOf(answer, 200).version);
	expect(versions).toEqual([3, 4, 5]);
	expect(bodyOf(back, 200).smtp).toMatchObject({ password: 'set' });
	const log = await operator(used.server).get<AuditPage>(`/admin/audit?tenant_id=${tenant_id}`);
	const { entries } = bodyOf(log, 200);
	const updates = entries.filter(({ action }) => action === 'tenants.update');
	expect(updates).toHaveLength(4);
	expect(log.text).not.toContain(PASS);
});

for (const [claim, smtp, field] of [
	['no host', { port: 1, user: 'a', pass: 'b' }, '/smtp/host'],
	['no password', { host: 'h', port: 1, user: 'a' }, '/smtp/pass'],
	['null for a host', { ...SMTP, host: null }, '/smtp/host'],
	['a host with a space', { ...SMTP, host: 'a b' }, '/smtp/host'],
	['port 0', { ...SMTP, port: 0 }, '/smtp/port'],
	['a line break in the password', { ...SMTP, pass: 'a\r\nb' }, '/smtp/pass'],
	['an unknown field', { ...SMTP, password: 'x' }, '/smtp/password'],
] as const) {
	test(`with ${claim} is refused by name`, async () => {
		const { tenant_id } = await createTenant(used.server);
		const answer = await operator(used.server).patch(`/admin/tenants/${tenant_id}`, { smtp });

		expect(answer.status).toBe(400);
		expect(errorOf(answer).field).toBe(field);
	});
}

test('another host or user needs the password anew: it goes nowhere that its owner did not say', async () => {
	const { tenant_id } = await createTenant(used.server);
	const path = `/admin/tenants/${tenant_id}`;
	bodyOf(await operator(used.server).patch(path, { smtp: SMTP }), 200);

	for (const smtp of [{ host: 'evil.example' }, { user: 'other' }]) {
		const answer = await operator(used.server).patch(path, { smtp });
		expect(errorOf(answer)).toMatchObject({ code: 'VALIDATION_ERROR', field: '/smtp/pass' });
	}
});

test('no file and no log line has the password; another key stops nothing, and the old one mends it', async () => {
	const dataDir = mkdtempSync(join(tmpdir(), 'chatapi-smtp-'));
	const env = { MASTER_API_KEY: randomSecret(), LOG_LEVEL: 'debug' };
	const first = await startServer({ dataDir, env });
	const { tenant_id } = await createTenant(first);
	const path = `/admin/tenants/${tenant_id}`;
	bodyOf(await operator(first).patch(path, { smtp: SMTP }), 200);
	const log = JSON.stringify(first.log());
	await first.stop();
	const keyFile = join(dataDir, 'secrets.key');
	const key = readFileSync(keyFile);
	const files = readdirSync(dataDir, { recursive: true, withFileTypes: true });
	const held = files
		.filter((file) => file.isFile())
		.map((file) => readFileSync(join(file.parentPath, file.name)))
		.filter((bytes) => bytes.includes(PASS));
	const smtpWith = async (secret: string | Buffer) => {
		writeFileSync(keyFile, secret);
		const server = await startServer({ dataDir, env });
		const { smtp } = bodyOf(await operator(server).get<Tenant>(path), 200);
		const stopped = await server.stop();
		return { password: smtp?.password, stopped };
	};

	expect(statSync(keyFile).mode & 0o777).toBe(0o600);
	expect(log).not.toContain(PASS);
	expect(held).toEqual([]);
	expect(await smtpWith(randomSecret())).toEqual({ password: 'unreadable', stopped: 0 });
	expect(await smtpWith('short')).toEqual({ password: 'unreadable', stopped: 0 });
	expect(await smtpWith(key)).toEqual({ password: 'set', stopped: 0 });
	rmSync(dataDir, { recursive: true });
}, 60_000);
