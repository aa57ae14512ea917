/** Where a failing input is tried again: a scene of its own each time, on a server that lives. */
import { createScene, type Scene } from '../contract/bad-input/valid-requests.ts';
import { type Environment, type Server, startServer } from '../helpers/server.ts';

export interface Stand {
	/** The scene of the last time, unless that was spoilt; then a new one. */
	scene(): Promise<Scene>;
	/** Says that the scene may no longer be what it was. */
	spoil(): void;
	/** Ends what was started here. */
	close(): Promise<void>;
}

/** A stand on this server; on others like it, one after the other, once it has ended. */
export function createStand(server: Server, env: Environment): Stand {
	const started: Server[] = [];
	let scene: Scene | undefined;
	let current = server;

	/** An input may have ended the server, and that may not be seen yet. */
	async function freshScene(): Promise<Scene> {
		try {
			return await createScene(current);
		} catch (error) {
			if (!(await isRefusing(current))) throw error;
			current = await startServer({ env: { AUTH_FAILURES_PER_MINUTE: '0', ...env } });
			started.push(current);
			return await createScene(current);
		}
	}
	return {
		async scene() {
			scene ??= await freshScene();
			return scene;
		},
		spoil() {
			scene = undefined;
		},
		async close() {
			await Promise.all(started.map((own) => own.kill()));
		},
	};
}

async function isRefusing(server: Server): Promise<boolean> {
	try {
		await fetch(`${server.url}/livez`);
		return false;
	} catch {
		return true;
	}
}
