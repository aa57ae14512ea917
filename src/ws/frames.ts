import type { CallerOf, TenantCaller } from '../core/caller.ts';
import type { InputOf, Operation, OutputOf } from '../core/operation.ts';
import type { Connection } from '../realtime/connections.ts';

/** An operation bound to the type of a client's frame. */
export interface FrameBinding {
	type: string;
	operation: Operation;
	/** The caller has been held against the operation's actor: see `requireActor`. */
	run(caller: TenantCaller, input: unknown, connection: Connection): Promise<unknown>;
}

export type Frames = readonly FrameBinding[];

/** Binds an operation to a frame type. What is for users is refused to a backend socket, by dispatch. */
export const onFrame = <Op extends Operation>(
	type: string,
	operation: Op,
	useCase: (
		caller: CallerOf[Op['actor']],
		input: InputOf<Op>,
		connection: Connection,
	) => Promise<OutputOf<Op>>,
): FrameBinding => ({ type, operation, run: useCase as FrameBinding['run'] });
