import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type App, ids, openApp } from './app.ts';

let app: App;
beforeAll(async () => {
	app = await openApp();
});
afterAll(() => app.end());

/** A room of two, and what one hears of the other's typing, in order. */
async function roomOfTwo() {
	const tenant = await app.tenant();
	const alice = tenant.as('alice');
	const { room_id } = await app.rooms.create(alice, { type: 'group', members: ids('bob') });
	const bob = await tenant.listen('bob');
	const heard = () => bob.told.filter(({ type }) => type === 'typing').map(({ action }) => action);
	const start = () => app.typing.start(alice, { room_id });
	const stop = () => app.typing.stop(alice, { room_id });
	return { tenant, room_id, heard, start, stop };
}

describe('typing', () => {
	test('is told again after 3 seconds, however often it is said', async () => {
		const { heard, start, stop } = await roomOfTwo();
		for (let key = 0; key < 30; key++) {
			await start();
			app.clock.advance(100);
		}
		expect(heard()).toEqual(['start']);
		await start();
		expect(heard()).toEqual(['start', 'start']);
		await stop();
		expect(heard()).toEqual(['start', 'start', 'stop']);
	});

	test('ends 8 seconds after it was said last, told once', async () => {
		const { heard, start } = await roomOfTwo();
		await start();
		app.clock.advance(5000);
		await start();
		app.clock.advance(7999);
		app.typing.sweep();
		expect(heard()).toEqual(['start', 'start']);
		app.clock.advance(1);
		app.typing.sweep();
		app.typing.sweep();
		expect(heard()).toEqual(['start', 'start', 'stop']);
	});

	test('of one user is not that of another, nor of the same one in another room or tenant', async () => {
		const one = await roomOfTwo();
		const other = await roomOfTwo();
		await one.start();
		app.clock.advance(8000);
		await other.start();
		app.typing.sweep();
		await one.stop();
		expect(one.heard()).toEqual(['start', 'stop']);
		expect(other.heard()).toEqual(['start']);
		await other.stop();
	});
});
