import type { Ask, Endpoint, Job, Seat } from '../client/load.ts';
import { HISTORY_PAGE } from '../client/requests.ts';
import type { Stock } from './stock.ts';

/** What is asked of a server, the same at every size of its database. */
export interface Question {
	readonly name: string;
	readonly title: string;
	/** Why it may cost more where there is more; it is shown and not judged. */
	readonly isProportional?: boolean;
	jobOf(endpoint: Endpoint, seats: readonly Seat[]): Job;
}

/** One quantity that grows while the traffic stays as it is. */
export interface Curve {
	readonly name: string;
	readonly title: string;
	/** From the smallest to the largest. */
	readonly sizes: readonly number[];
	/** With `--full`, one more. */
	readonly fullSize?: number;
	readonly questions: readonly Question[];
	stockOf(size: number): Stock;
}

const CLIENTS = 16;
/** A room has a page and a bit, so that a depth can be chosen. */
const ROOM_MESSAGES = HISTORY_PAGE + 10;

/** @param among - of how many of the first seats; all of them when absent. */
const ask = (what: Ask, title: string, among?: number): Question => ({
	name: among === undefined ? what : `${what}-of-${among}`,
	title,
	jobOf: (endpoint, seats) => ({
		kind: 'requests',
		endpoint,
		ask: what,
		seats: seats.slice(0, among),
		clients: CLIENTS,
		listeners: 0,
		socket_path: '/ws',
	}),
});

/** Sockets of the first seat's user, each of which follows all that user's rooms. */
const connect = (isProportional = false): Question => ({
	name: 'connect',
	title: 'connect a socket',
	isProportional,
	jobOf: (endpoint, [seat]) => {
		if (seat === undefined) throw new Error('no seats');
		const socket = { user_id: seat.user_id, room_id: seat.room_id, path: '/ws' };
		return {
			kind: 'connects',
			endpoint: { ...endpoint, api_key: seat.api_key },
			sockets: Array.from({ length: CLIENTS }, () => socket),
		};
	},
});

/** The first so many rooms hold what is read. */
const READ_ROOMS = 100;
const FEW_TENANTS = 10;
const USER_ROOMS = 200;
const GIGABYTE_MESSAGES = 3_000_000;

export const CURVES: readonly Curve[] = [
	{
		name: 'tenants',
		title: 'Tenants',
		sizes: [10, 1_000, 10_000],
		questions: [
			ask('send', 'send, among 10 tenants', FEW_TENANTS),
			ask('send', 'send, among all tenants'),
			ask('history', 'history, among 10 tenants', FEW_TENANTS),
			ask('history', 'history, among all tenants'),
			ask('rooms', 'authenticate, and GET /rooms of one, among 10 tenants', FEW_TENANTS),
			ask('rooms', 'authenticate, and GET /rooms of one, among all tenants'),
			ask('tenants', 'GET /admin/tenants, a page of ten'),
		],
		stockOf: (tenants) => ({
			tenants,
			rooms: [{ count: 1, members: 2, messages: ROOM_MESSAGES }],
		}),
	},
	{
		name: 'rooms',
		title: 'Rooms of a tenant',
		sizes: [100, 10_000, 100_000],
		questions: [
			ask('send', 'send, among 100 rooms', READ_ROOMS),
			ask('send', 'send, among all rooms'),
			ask('history', 'history, among 100 rooms', READ_ROOMS),
			ask('rooms', 'GET /rooms of a user with one', 1),
			connect(),
		],
		stockOf: (rooms) => ({
			tenants: 1,
			rooms: [
				{ count: READ_ROOMS, members: 2, messages: ROOM_MESSAGES },
				{ count: rooms - READ_ROOMS, members: 2, messages: 1 },
			],
		}),
	},
	{
		name: 'messages',
		title: 'Messages of a room',
		sizes: [10_000, 1_000_000],
		fullSize: 10_000_000,
		questions: [
			ask('send', 'send'),
			ask('send_once', 'send with a client_msg_id'),
			ask('history', 'history at random depth'),
		],
		stockOf: (messages) => ({
			tenants: 1,
			rooms: [{ count: 1, members: 2, messages }],
			isOnce: true,
		}),
	},
	{
		name: 'rooms-of-a-user',
		title: 'Rooms of a user',
		sizes: [1, USER_ROOMS],
		questions: [
			ask('rooms', 'GET /rooms?limit=1', 1),
			connect(true),
			ask('send', 'send to one of them', 1),
		],
		stockOf: (rooms) => ({
			tenants: 1,
			rooms: [
				{ count: rooms, members: 2, messages: ROOM_MESSAGES, shared: 'busy' },
				{ count: USER_ROOMS - rooms, members: 2, messages: ROOM_MESSAGES },
			],
		}),
	},
	{
		name: 'members',
		title: 'Members of a room',
		sizes: [2, 10_000],
		questions: [
			ask('send', 'send, nobody connected'),
			ask('members', 'GET members?limit=2'),
			connect(),
		],
		stockOf: (members) => ({
			tenants: 1,
			rooms: [{ count: 1, members, messages: ROOM_MESSAGES }],
		}),
	},
	{
		name: 'file',
		title: 'Database file',
		// The larger one is a file of 1 GB.
		sizes: [10_000, GIGABYTE_MESSAGES],
		questions: [],
		stockOf: (messages) => ({
			tenants: 1,
			rooms: [{ count: READ_ROOMS, members: 2, messages: messages / READ_ROOMS }],
			isOnce: true,
		}),
	},
];

/** As small as it can be and have every kind of row: what the invariants are checked on. */
export function sampleOf(curve: Curve): Stock {
	const stock = curve.stockOf(curve.sizes[0] ?? 1);
	const rooms = stock.rooms.map((kind) => ({
		...kind,
		count: Math.min(kind.count, 3),
		messages: Math.min(kind.messages, ROOM_MESSAGES),
	}));
	return { ...stock, tenants: Math.min(stock.tenants, 3), rooms };
}

export const sizesOf = (curve: Curve, isFull: boolean): number[] => [
	...curve.sizes,
	...(isFull && curve.fullSize !== undefined ? [curve.fullSize] : []),
];
