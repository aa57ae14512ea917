/** What rooms are, small enough to be believed: who is in, in which role, and who has read what. */
import type { Role } from '../../src/features/members/schema.ts';

export const USERS = ['ann', 'bob', 'cat', 'dan'] as const;
export const RANKS: readonly Role[] = ['owner', 'admin', 'moderator', 'member'];

export interface ModelMember {
	role: Role;
	/** The joining's number: the lower, the older. */
	joined: number;
	read: number;
	delivered: number;
}
export interface ModelMessage {
	sender: string | null;
	content: string;
	id: string | null;
}
export interface ModelRoom {
	members: Map<string, ModelMember>;
	messages: ModelMessage[];
	isDeleted: boolean;
}
export interface Model {
	rooms: ModelRoom[];
	joinings: number;
}

/** Makes somebody a member, who has then read all there is; who is one already stays as they are. */
export const join = (model: Model, room: ModelRoom, user: string, role: Role) => {
	const head = room.messages.length;
	const joined = ++model.joinings;
	if (!room.members.has(user))
		room.members.set(user, { role, joined, read: head, delivered: head });
};
const rankOf = (room: ModelRoom, user: string) =>
	RANKS.indexOf(room.members.get(user)?.role ?? 'member');
export const canSee = (room: ModelRoom, user: string) => !room.isDeleted && room.members.has(user);

/** The first by role, then by age, becomes the owner when there is none; nobody left ends the room. */
export function leave(room: ModelRoom, user: string) {
	const wasOwner = room.members.get(user)?.role === 'owner';
	room.members.delete(user);
	const [heir] = [...room.members.values()].sort(
		(a, b) => RANKS.indexOf(a.role) - RANKS.indexOf(b.role) || a.joined - b.joined,
	);
	if (heir === undefined) room.isDeleted = true;
	else if (wasOwner) heir.role = 'owner';
}

/** Whether somebody may act on those with these roles: done, or the code of the error. */
export function mayManage(
	room: ModelRoom,
	actor: string,
	minimum: Role,
	...concerned: Role[]
): string {
	if (!canSee(room, actor)) return 'NOT_FOUND';
	const rank = rankOf(room, actor);
	const mayAct = rank <= RANKS.indexOf(minimum);
	return mayAct && concerned.every((role) => RANKS.indexOf(role) > rank)
		? 'done'
		: 'AUTHORIZATION_ERROR';
}

/** Mostly somebody who is in the room, often of those with a say in it; now and then anybody. */
export function userAt(room: ModelRoom, draw: number): string {
	const anybody = USERS[draw % USERS.length] ?? 'ann';
	const inside = [...room.members.keys()].sort();
	const leading = inside.filter((user) => rankOf(room, user) < RANKS.indexOf('moderator'));
	const some = draw % 3 === 0 && leading.length > 0 ? leading : inside;
	return draw % 7 === 0 || some.length === 0 ? anybody : (some[draw % some.length] ?? anybody);
}
