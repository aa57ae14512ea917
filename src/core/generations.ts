/** What a credential hangs on: bumping any of these voids every caller made before. */
export type GenerationKind = 'tenant' | 'key';

/** The generations a caller was made under. */
export interface Stamp {
	tenant_id: string;
	tenant: number;
	key_id: string;
	key: number;
}

/**
 * Counts how often a tenant or key was revoked or changed. A caller carries the counts it was made
 * under; whoever is about to act for it later (an authentication cache, the writer, an open
 * socket) compares. Only what was ever bumped takes memory.
 */
export interface Generations {
	bump(kind: GenerationKind, id: string): void;
	stamp(tenant_id: string, key_id: string): Stamp;
	isCurrent(stamp: Stamp): boolean;
}

export function createGenerations(): Generations {
	const bumped = new Map<string, number>();
	const current = (kind: GenerationKind, id: string) =>
		bumped.size === 0 ? 0 : (bumped.get(`${kind}/${id}`) ?? 0);
	return {
		bump: (kind, id) => void bumped.set(`${kind}/${id}`, current(kind, id) + 1),
		stamp: (tenant_id, key_id) => ({
			tenant_id,
			tenant: current('tenant', tenant_id),
			key_id,
			key: current('key', key_id),
		}),
		isCurrent: (stamp) =>
			current('tenant', stamp.tenant_id) === stamp.tenant &&
			current('key', stamp.key_id) === stamp.key,
	};
}
