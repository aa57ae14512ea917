import { type ChatSocket, FrameWriter } from './chat-socket.ts';
import type { Requests } from './requests.ts';
import { Finder, numberAt } from './wire.ts';

/** Sends on one socket that may await their replies at once: more than there are clients. */
const AWAITED_MAX = 1024;

// One for all sockets: replies are laid out alike, whoever receives them.
const replyContent = new Finder('"content":"');

/** The socket of a seat: hears its room, and sends to it for whichever client asks. */
export class Speaker {
	readonly #load: Requests;
	readonly #socket: ChatSocket;
	readonly #seat: number;
	readonly #frames: FrameWriter;
	/** Who awaits a reply, by `request_id` modulo the size. */
	readonly #awaited: ((() => void) | undefined)[] = [];
	/** Of the sends that were replied to: one socket's replies come in the order of its requests. */
	#replied = 0;

	constructor(load: Requests, socket: ChatSocket, of: { seat: number; room_id: string }) {
		this.#load = load;
		this.#socket = socket;
		this.#seat = of.seat;
		this.#frames = new FrameWriter(of.room_id, 1);
		socket.onReply = (requestId, seq, bytes, start, end) =>
			this.#hear(requestId, seq, numberAt(bytes, replyContent.after(bytes, start, end)));
	}

	/** Sends a message; `heard` is called with its reply. */
	say(heard: () => void): void {
		this.#socket.write(this.#frames.take(1));
		this.#awaited[this.#frames.last % AWAITED_MAX] = heard;
	}

	close(): void {
		this.#socket.close();
	}

	/** The content of a message is the number of its request. */
	#hear(requestId: number, seq: number, content: number): void {
		const { problems } = this.#load;
		if (requestId !== ++this.#replied) problems.add('a reply is missing, doubled or misplaced');
		if (content !== requestId) problems.add('a reply belongs to another request');
		this.#load.sent(this.#seat, seq);
		const heard = this.#awaited[requestId % AWAITED_MAX];
		this.#awaited[requestId % AWAITED_MAX] = undefined;
		if (heard === undefined) problems.add('a reply to nothing that was sent');
		else heard();
	}
}
