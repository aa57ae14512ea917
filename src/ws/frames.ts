import type { UserCaller } from '../core/caller.ts';
import type { InputOf, Operation, OutputOf } from '../core/operation.ts';
import type { Connection } from '../realtime/connections.ts';

/** An operation bound to the type of a client's frame. */
export interface FrameBinding {
	type: string;
	operation: Operation;
	run(caller: UserCaller, input: unknown, connection: Connection): Promise<unknown>;
}

export type Frames = readonly FrameBinding[];

/** Binds an operation to a frame type. A socket always has a user, so it may be any user's. */
export const onFrame = <Op extends Operation>(
	type: string,
	operation: Op,
	useCase: (
		caller: UserCaller,
		input: InputOf<Op>,
		connection: Connection,
	) => Promise<OutputOf<Op>>,
): FrameBinding => ({ type, operation, run: useCase as FrameBinding['run'] });
