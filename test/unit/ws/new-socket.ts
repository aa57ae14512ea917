import type { TenantCaller } from '../../../src/core/caller.ts';
import type { ConnectionId } from '../../../src/core/ids.ts';
import { Socket } from '../../../src/ws/socket.ts';

/** A socket of this caller, whose grant never changes. */
export const newSocket = (id: ConnectionId, caller: TenantCaller, monotonic = () => 0): Socket =>
	new Socket(
		id,
		caller,
		{ caller, refresh: async () => {} },
		{ monotonic, regranted() {}, failed() {} },
	);
