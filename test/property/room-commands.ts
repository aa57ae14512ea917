/** Random commands on rooms: each does to the model and to the real parts what it should. */
import { expect } from 'bun:test';
import fc from 'fast-check';
import type { RoomId, UserId } from '../../src/core/ids.ts';
import { type App, codeOf, type TestTenant } from '../unit/features/app.ts';
import {
	canSee,
	join,
	leave,
	type Model,
	type ModelMessage,
	type ModelRoom,
	mayManage,
	RANKS,
	USERS,
	userAt,
} from './room-model.ts';

/** What commands act on: a tenant of its own for each script. */
export interface Real {
	app: App;
	tenant: TestTenant;
	room_ids: RoomId[];
}

/** Numbers that are turned into a room and users when a command runs, for then there are some. */
interface Draw {
	room: number;
	actor: number;
	other: number;
}

interface Resolved {
	room: ModelRoom;
	room_id: RoomId;
	actor: string;
	other: string;
}

function resolve(model: Model, { room_ids }: Real, draw: Draw): Resolved {
	const indexes = model.rooms.map((_, index) => index);
	const live = indexes.filter((index) => model.rooms[index]?.isDeleted === false);
	const choice = live.length === 0 || draw.room % 10 === 0 ? indexes : live;
	const index = choice[draw.room % choice.length] ?? 0;
	const room = model.rooms[index];
	const room_id = room_ids[index];
	if (room === undefined || room_id === undefined) throw new Error('The model has lost a room');
	return { room, room_id, actor: userAt(room, draw.actor), other: userAt(room, draw.other) };
}

/** A command on a room: what the model says becomes of it, and how it is done for real. */
function command(
	name: string,
	draw: Draw,
	expected: (at: Resolved, model: Model) => string,
	act: (at: Resolved, real: Real) => Promise<unknown>,
): fc.AsyncCommand<Model, Real> {
	let told = name;
	return {
		check: (model) => model.rooms.length > 0,
		async run(model, real) {
			const resolved = resolve(model, real, draw);
			const { room, room_id, actor, other } = resolved;
			told = `${actor}: ${name.replace('other', other)} in ${real.room_ids.indexOf(room_id)}`;
			real.app.clock.advance(1);
			const answer = expected(resolved, model);
			expect(`${told} → ${await codeOf(act(resolved, real))}`).toBe(`${told} → ${answer}`);
			await compare(room, real, room_id);
		},
		toString: () => told,
	};
}

const ids = (users: readonly string[]) => users as unknown as UserId[];

const ROOMS_MAX = 3;

/** Makes a group, unless there are enough. All of one request are of one age; then the id decides. */
function create(owner: string, members: readonly string[]): fc.AsyncCommand<Model, Real> {
	return {
		check: ({ rooms }) => rooms.filter(({ isDeleted }) => !isDeleted).length < ROOMS_MAX,
		async run(model, real) {
			real.app.clock.advance(1);
			const room: ModelRoom = { members: new Map(), messages: [], isDeleted: false };
			for (const user of [...new Set([owner, ...members])].sort()) {
				join(model, room, user, user === owner ? 'owner' : 'member');
			}
			model.rooms.push(room);
			const input = { type: 'group' as const, members: ids(members) };
			const { room_id } = await real.app.rooms.create(real.tenant.as(owner), input);
			real.room_ids.push(room_id);
			await compare(room, real, room_id);
		},
		toString: () => `${owner}: create with ${members}`,
	};
}

const role = fc.constantFrom(...RANKS);
const nat = fc.nat({ max: 999 });
const draw = fc.record({ room: nat, actor: nat, other: nat });

const creates = fc
	.tuple(fc.constantFrom(...USERS), fc.subarray([...USERS]))
	.map(([owner, members]) => create(owner, members));

const adds = fc.tuple(draw, role).map(([at, given]) =>
	command(
		`add other as ${given}`,
		at,
		({ room, actor, other }, model) => {
			const answer = mayManage(room, actor, 'moderator', given);
			if (answer === 'done') join(model, room, other, given);
			return answer;
		},
		({ room_id, actor, other }, { app, tenant }) =>
			app.members.add(tenant.as(actor), {
				room_id,
				members: ids([other]),
				role: given as 'member',
			}),
	),
);

const removes = draw.map((at) =>
	command(
		'remove other',
		at,
		({ room, actor, other }) => {
			if (!canSee(room, actor)) return 'NOT_FOUND';
			if (actor !== other) {
				const mayAct = mayManage(room, actor, 'moderator');
				const target = room.members.get(other);
				if (mayAct !== 'done') return mayAct;
				if (target === undefined) return 'NOT_FOUND';
				const mayRemove = mayManage(room, actor, 'moderator', target.role);
				if (mayRemove !== 'done') return mayRemove;
			}
			leave(room, other);
			return 'done';
		},
		({ room_id, actor, other }, { app, tenant }) =>
			app.members.remove(tenant.as(actor), { room_id, user_id: other as UserId }),
	),
);

const leaves = draw.map((at) =>
	command(
		'leave',
		at,
		({ room, actor }) => {
			if (!canSee(room, actor)) return 'NOT_FOUND';
			leave(room, actor);
			return 'done';
		},
		({ room_id, actor }, { app, tenant }) =>
			app.members.remove(tenant.as(actor), { room_id, user_id: actor as UserId }),
	),
);

const roles = fc.tuple(draw, role).map(([at, given]) =>
	command(
		`make other ${given}`,
		at,
		({ room, actor, other }) => {
			const mayAct = mayManage(room, actor, 'admin');
			if (mayAct !== 'done') return mayAct;
			const target = room.members.get(other);
			const own = room.members.get(actor);
			if (target === undefined) return 'NOT_FOUND';
			const isHandOver = given === 'owner' && own?.role === 'owner' && actor !== other;
			const concerned = isHandOver ? [target.role] : [target.role, given];
			const mayChange = mayManage(room, actor, 'admin', ...concerned);
			if (mayChange !== 'done') return mayChange;
			target.role = given;
			if (isHandOver && own !== undefined) own.role = 'admin';
			return 'done';
		},
		({ room_id, actor, other }, { app, tenant }) =>
			app.members.update(tenant.as(actor), { room_id, user_id: other as UserId, role: given }),
	),
);

const content = fc.constantFrom('hello', 'bye');
const clientId = fc.option(fc.constantFrom('x', 'y', 'z'), { nil: null });

const sends = fc.tuple(draw, content, clientId).map(([at, text, id]) => {
	const isSystem = at.other % 6 === 0;
	return command(
		`${isSystem ? 'the tenant sends' : 'send'} ${text} as ${id}`,
		at,
		({ room, actor }) => {
			const sender = isSystem ? null : actor;
			if (room.isDeleted || !(isSystem || room.members.has(actor))) return 'NOT_FOUND';
			const isFirst = (one: ModelMessage) => id !== null && one.id === id && one.sender === sender;
			const first = room.messages.find(isFirst);
			if (first !== undefined) return first.content === text ? 'done' : 'CONFLICT';
			room.messages.push({ sender, content: text, id });
			const own = room.members.get(actor);
			// Whoever writes has read what stands before.
			if (!isSystem && own !== undefined) own.read = own.delivered = room.messages.length;
			return 'done';
		},
		({ room_id, actor }, { app, tenant }) =>
			app.messages.send(isSystem ? tenant.itself : tenant.as(actor), {
				room_id,
				content: text,
				...(id === null ? {} : { client_msg_id: id }),
			}),
	);
});

const receipts = fc
	.tuple(draw, fc.constantFrom('ack', 'read'), fc.integer({ min: 1, max: 5 }))
	.map(([at, verb, upTo]) =>
		command(
			`${verb} ${upTo}`,
			at,
			({ room, actor }) => {
				const own = room.members.get(actor);
				if (own === undefined || room.isDeleted) return 'NOT_FOUND';
				const reached = Math.min(upTo, room.messages.length);
				own.delivered = Math.max(own.delivered, reached);
				if (verb === 'read') own.read = Math.max(own.read, reached);
				return 'done';
			},
			({ room_id, actor }, { app, tenant }) =>
				app.receipts[verb](tenant.as(actor), { room_id, seq: upTo }),
		),
	);

const deletes = draw.map((at) =>
	command(
		'delete',
		at,
		({ room, actor }) => {
			const answer = mayManage(room, actor, 'owner');
			if (answer === 'done') room.isDeleted = true;
			return answer;
		},
		({ room_id, actor }, { app, tenant }) => app.rooms.remove(tenant.as(actor), { room_id }),
	),
);

const weighted = ([kind, weight]: readonly [fc.Arbitrary<fc.AsyncCommand<Model, Real>>, number]) =>
	Array.from({ length: weight }, () => kind);
export const commands = (
	[
		[creates, 3],
		[adds, 5],
		[removes, 2],
		[leaves, 3],
		[roles, 5],
		[sends, 8],
		[receipts, 8],
		[deletes, 1],
	] as const
).flatMap(weighted);

/** Holds one room against its model, as everybody sees it. */
async function compare(room: ModelRoom, { app, tenant }: Real, room_id: RoomId): Promise<void> {
	for (const user of USERS) {
		if (!canSee(room, user)) {
			expect(await codeOf(app.rooms.get(tenant.as(user), { room_id }))).toBe('NOT_FOUND');
			continue;
		}
		const { read = 0 } = room.members.get(user) ?? {};
		expect(await app.rooms.get(tenant.as(user), { room_id })).toMatchObject({
			last_seq: room.messages.length,
			member_count: room.members.size,
			last_read_seq: read,
			unread_count: room.messages.slice(read).filter(({ sender }) => sender !== null).length,
		});
	}
	if (room.isDeleted) return;
	const { members } = await app.members.list(tenant.itself, { room_id });
	expect(members.map(({ joined_at, ...member }) => member)).toEqual(
		[...room.members]
			.map(([user, { role, read, delivered }]) => ({
				user_id: user as UserId,
				role,
				last_read_seq: read,
				last_delivered_seq: delivered,
			}))
			.sort((a, b) => (a.user_id < b.user_id ? -1 : 1)),
	);
	const { messages } = await app.messages.list(tenant.itself, {
		room_id,
		after_seq: 0,
		limit: 100,
	});
	expect(
		messages.map(({ seq, sender_id, content, client_msg_id, kind }) => ({
			...{ seq, sender_id, content, client_msg_id, kind },
		})),
	).toEqual(
		room.messages.map(({ sender, content, id }, index) => ({
			seq: index + 1,
			sender_id: sender as UserId | null,
			content,
			client_msg_id: id,
			kind: sender === null ? 'system' : 'user',
		})),
	);
}
