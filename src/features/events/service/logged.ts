import type { TenantNo } from '../../../core/ids.ts';
import { type EventsTx, frameOf } from '../service.ts';
import type { Cursors } from '../store.ts';

/** What follows a cursor was pruned before it was read: whoever wanted it took longer than events are kept. */
export class EventsPruned extends Error {
	override readonly name = 'EventsPruned';
}

/** Frames of a page. */
const PAGE_ROWS = 64;

/**
 * The frame of every event of a tenant between two cursors, in their order and in pages; each is read when
 * it is asked for.
 *
 * @throws EventsPruned where some of them are gone by then: a log without holes is what a backend counts on.
 */
export async function* loggedBy(
	{ events }: EventsTx,
	tenant: TenantNo,
	{ epoch, after, through }: Cursors & { epoch: string },
): AsyncGenerator<string[], void, void> {
	for (let last = after; last < through; ) {
		const rows = await events.readTenant(tenant, { after: last, through }, PAGE_ROWS);
		if (rows.length === 0) throw new EventsPruned();
		const frames: string[] = [];
		for (const row of rows) {
			if (row.cursor !== last + 1) throw new EventsPruned();
			last = row.cursor;
			const frame = frameOf(epoch, row);
			if (frame !== undefined) frames.push(frame);
		}
		if (frames.length > 0) yield frames;
	}
}
