import { readFileSync } from 'node:fs';

/**
 * Who typed this command, for the audit log: whoever called sudo, else the user that it runs as, by name where the
 * system's file of users has one, else by number. It is what the system's surroundings say, and no proof.
 */
export function commandUser(): string {
	const { SUDO_USER } = process.env;
	if (SUDO_USER !== undefined && SUDO_USER !== '') return SUDO_USER;
	const uid = String(process.getuid?.() ?? '');
	return nameIn(usersFile(), uid) ?? uid;
}

// Bun's `userInfo()` believes the variable USER, which a cron job does not have.
function usersFile(): string {
	try {
		return readFileSync('/etc/passwd', 'utf8');
	} catch {
		// An image of nothing but the executable has none.
		return '';
	}
}

/** Lines of `name:password:uid:…`. @see https://man7.org/linux/man-pages/man5/passwd.5.html */
function nameIn(users: string, uid: string): string | undefined {
	for (const line of users.split('\n')) {
		const [name, , number] = line.split(':');
		if (number === uid) return name;
	}
	return undefined;
}
