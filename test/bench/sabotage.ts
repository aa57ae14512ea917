import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The negative controls of the benchmark's own checks: the reference with one statement made wrong
 * once in fifty times. A run against any of them must end with VOID figures and exit code 1.
 */
const FAULTS = {
	/** A message that nobody receives. */
	lost: ['server.publish(', 'if (++faults % 50 !== 0) server.publish('],
	/** A message that everybody receives twice. */
	doubled: [
		'draft.answer(json);',
		`$& if (++faults % 50 === 0) server.publish(draft.room_id, '{"type":"message",' + json.slice(1));`,
	],
	/** A message that is answered and delivered, and is not in the database. */
	unstored: ['insert.run(', 'if (++faults % 50 !== 0) insert.run('],
	/** A number that was given out before. */
	repeated: ['seq: row.seq,', 'seq: row.seq - (++faults % 50 === 0 ? 1 : 0),'],
	/** An answer that is another request's. */
	crossed: ['content: row.content,', "content: ++faults % 50 === 0 ? '1' : row.content,"],
	/** A send over a socket that is stored and never replied to. */
	unanswered: [
		'socket.send(`{"type":"reply"',
		'++faults % 50 !== 0 && socket.send(`{"type":"reply"',
	],
	/** A socket that is never greeted. */
	ungreeted: [
		`socket.send('{"type":"connected"}');`,
		`if (++faults % 50 !== 0) socket.send('{"type":"connected"}');`,
	],
	/** A page with a hole. */
	hole: [
		'pageAfter.all(roomId, Number(after), limit)',
		'$&.filter((row) => limit !== 50 || row.seq % 50 !== 25)',
	],
} as const;

export type Fault = keyof typeof FAULTS;

export const FAULT_NAMES = Object.keys(FAULTS);

export const isFault = (name: string): name is Fault => name in FAULTS;

/** Writes the faulty copy of the reference and gives its path. */
export function sabotaged(reference: string, fault: Fault, workDir: string): string {
	const [right, wrong] = FAULTS[fault];
	const source = readFileSync(reference, 'utf8');
	if (source.split(right).length !== 2) throw new Error(`the reference has not one "${right}"`);
	const faulty = source
		.replace(right, wrong)
		.replace('let cursors = 0;', 'let cursors = 0;\nlet faults = 0;');
	mkdirSync(workDir, { recursive: true });
	const script = join(workDir, `${fault}.ts`);
	writeFileSync(script, faulty);
	return script;
}
