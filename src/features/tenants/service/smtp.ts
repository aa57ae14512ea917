import { AppError } from '../../../core/errors.ts';
import { fromJsonColumn } from '../../../core/json.ts';
import { mergePatch } from '../../../core/merge-patch.ts';
import type { SmtpPatch, StoredSmtp } from '../../../core/smtp.ts';
import type { Vault } from '../../../core/vault.ts';
import type { TenantRow } from '../store.ts';

type SmtpColumns = Pick<TenantRow, 'smtp' | 'smtp_secret'>;

const NEEDED = ['host', 'port', 'user'] as const;

/**
 * The columns as a merge patch makes them; null takes all of it away. A password that is the one already stays
 * as it is sealed: sealed anew it would look like another.
 *
 * @throws `VALIDATION_ERROR` naming what is missing: with another host or user the password, which must not
 * go where its owner never sent it.
 * @throws `UNAVAILABLE` where the server has no key.
 */
export function smtpAfter(
	before: SmtpColumns & Pick<TenantRow, 'tenant_id'>,
	patch: SmtpPatch | null,
	vault: Vault,
): SmtpColumns {
	if (patch === null) return { smtp: null, smtp_secret: null };
	const { pass } = patch;
	const merged = mergedSmtp(fromJsonColumn(before.smtp), patch);
	const isKept = pass === undefined || pass === passwordOf(before, vault);
	const smtp_secret = isKept ? before.smtp_secret : Buffer.from(vault.seal(pass, aboutOf(before)));
	return { smtp: JSON.stringify(merged), smtp_secret };
}

/**
 * What a merge patch makes of it, but for the password: for who only wants to know whether it can be made, too.
 *
 * @throws `VALIDATION_ERROR` as `smtpAfter`.
 */
export function mergedSmtp(earlier: StoredSmtp | null, { pass, ...rest }: SmtpPatch): StoredSmtp {
	const merged = mergePatch(earlier ?? {}, rest) as StoredSmtp;
	for (const name of NEEDED) if (merged[name] === undefined) throw missing(name);
	const isElsewhere = merged.host !== earlier?.host || merged.user !== earlier?.user;
	if (pass === undefined && isElsewhere) throw missing('pass');
	return merged;
}

/** As operators see it; the password only whether it can be read. */
export function shownSmtp(row: SmtpColumns & Pick<TenantRow, 'tenant_id'>, vault: Vault) {
	const stored: StoredSmtp | null = fromJsonColumn(row.smtp);
	if (stored === null) return null;
	const isReadable = passwordOf(row, vault) !== undefined;
	return { ...stored, password: isReadable ? ('set' as const) : ('unreadable' as const) };
}

/** Undefined where there is none, or none that this server's key opens. */
const passwordOf = (
	row: Pick<TenantRow, 'smtp_secret' | 'tenant_id'>,
	vault: Vault,
): string | undefined =>
	row.smtp_secret === null ? undefined : vault.open(row.smtp_secret, aboutOf(row));

const aboutOf = ({ tenant_id }: Pick<TenantRow, 'tenant_id'>): string => `smtp of ${tenant_id}`;

const missing = (name: string): AppError =>
	new AppError('VALIDATION_ERROR', 'Missing field', { field: `/smtp/${name}` });
