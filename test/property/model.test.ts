/** Random commands against the real parts, held against a model that is small enough to be believed. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import fc from 'fast-check';
import { type App, type Listener, openApp, type Told } from '../unit/features/app.ts';
import { commands, type Real } from './room-commands.ts';
import { USERS } from './room-model.ts';

let app: App;
beforeAll(async () => {
	app = await openApp();
});
afterAll(() => app.end());

test('rooms, roles, seqs, unread counts and heirs are as in the model, after any commands', async () => {
	const script = fc.commands(commands, { maxCommands: 80, size: 'max' });
	await fc.assert(
		fc.asyncProperty(script, async (steps) => {
			const tenant = await app.tenant();
			const real: Real = { app, tenant, room_ids: [] };
			const listeners = new Map<string, Listener>();
			for (const user of USERS) listeners.set(user, await tenant.listen(user));

			await fc.asyncModelRun(() => ({ model: { rooms: [], joinings: 0 }, real }), steps);

			for (const [user, { told }] of listeners) expectWhole(user, told);
		}),
		{ numRuns: Number(process.env.MODEL_RUNS ?? 400) },
	);
}, 120_000);

/** A socket sees strictly rising cursors, and while its user is in a room, its seqs one by one. */
function expectWhole(user: string, told: readonly Told[]): void {
	const cursors = told.flatMap(({ cursor }) => (cursor === undefined ? [] : [String(cursor)]));
	expect(cursors).toEqual([...new Set(cursors)].sort());

	/** The next seq of each room it is in; undefined when any would do. */
	const next = new Map<unknown, number | undefined>();
	for (const { type, ...frame } of told) {
		if (type === 'room.created') next.set((frame.room as { room_id: string }).room_id, 1);
		const joined = type === 'member.added' ? (frame.members as { user_id: string }[]) : [];
		if (joined.some(({ user_id }) => user_id === user)) next.set(frame.room_id, undefined);
		if (type === 'room.deleted') next.delete(frame.room_id);
		if (type === 'member.removed' && frame.user_id === user) next.delete(frame.room_id);
		if (type !== 'message') continue;
		const seq = Number(frame.seq);
		expect(next.has(frame.room_id)).toBe(true);
		expect(next.get(frame.room_id) ?? seq).toBe(seq);
		next.set(frame.room_id, seq + 1);
	}
}
