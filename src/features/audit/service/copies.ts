/** What left the database as a file, or came out of one: recorded by the commands, through the server or without one. */
import type { Clock } from '../../../core/clock.ts';
import { AppError } from '../../../core/errors.ts';
import type { TenantId } from '../../../core/ids.ts';
import type { Random } from '../../../core/random.ts';
import { controlPlane } from '../../../db/change.ts';
import type { FileDigest } from '../../../db/whole-file.ts';
import type { Writer } from '../../../db/writer.ts';
import { type Act, type AuditTx, newAct, type Recorded, record } from '../service.ts';

/** A file as the log tells of it. Whoever finds it one day knows it by its SHA-256. */
export interface Copy extends FileDigest {
	action: 'tenants.export' | 'backups.create' | 'backups.restore';
	/** Null for one of the whole database. */
	tenant_id: TenantId | null;
	/** Its path. */
	file: string;
}

export interface CopiesDeps {
	writer: Writer<AuditTx>;
	clock: Pick<Clock, 'now'>;
	random: Pick<Random, 'bytes'>;
}

/**
 * Writes the entry of a copy. For use within a change.
 *
 * @throws `NOT_FOUND` for a tenant that is not there, or not any more: what the log says of it is erased.
 */
export async function recordCopy(
	tx: AuditTx,
	by: Recorded,
	act: Pick<Act, 'action' | 'at' | 'nonce'>,
	{ tenant_id, file, bytes, sha256 }: Omit<Copy, 'action'>,
): Promise<void> {
	const after = { bytes, sha256 };
	if (tenant_id === null) return record(tx, by, { ...act, target: { file }, after });
	const scope = await tx.audit.findScope(tenant_id);
	if (scope === undefined) throw new AppError('NOT_FOUND', 'Tenant not found');
	return record(tx, by, { ...act, ...scope, target: { tenant_id, file }, after });
}

/** Records a copy, and resolves when that is on disk: not before may the file get its name. @throws as `recordCopy`. */
export type RecordCopy = (by: Recorded, copy: Copy) => Promise<void>;

/** Makes it for a server. */
export function createRecordCopy({ writer, clock, random }: CopiesDeps): RecordCopy {
	return async function recordFile(by, { action, ...copy }) {
		const act = newAct(action, { clock, random });
		await writer.commit(controlPlane({}), async (tx) => {
			await recordCopy(tx, by, act, copy);
			return { value: undefined };
		});
	};
}
