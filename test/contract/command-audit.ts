/** What the audit log in a file says, read by SQL, as somebody would who has only the file. */
import { Database } from 'bun:sqlite';
import { readFileSync } from 'node:fs';

export interface Recorded {
	entry: number;
	credential: string;
	action: string;
	target: Record<string, unknown>;
	after: Record<string, unknown>;
}

export function recordedIn(path: string): Recorded[] {
	const db = new Database(path, { readwrite: true, create: false });
	try {
		return db
			.query<Omit<Recorded, 'target' | 'after'> & { details: string }, []>(
				'SELECT entry, credential, action, details FROM audit ORDER BY entry',
			)
			.all()
			.map(({ details, ...entry }) => ({ ...entry, ...JSON.parse(details) }));
	} finally {
		db.close();
	}
}

/** The user who runs these tests, as the system names them. */
export const USER: string =
	readFileSync('/etc/passwd', 'utf8')
		.split('\n')
		.map((line) => line.split(':'))
		.find(([, , uid]) => uid === String(process.getuid?.()))?.[0] ?? String(process.getuid?.());
