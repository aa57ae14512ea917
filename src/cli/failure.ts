/** A command could not do its work: one sentence for the operator, on stderr. */
export class CommandFailed extends Error {
	override readonly name = 'CommandFailed';
}
