import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Settings, weaknessOfMasterKey } from '../config/settings.ts';

/** Where a data directory keeps its own key for secrets. */
export const secretsKeyPath = (dataDir: string): string => join(dataDir, 'secrets.key');

/** The key that secrets of tenants are under, good or not: the one that is set, or else the data directory's own. */
export function secretsKeyText({ SECRETS_KEY, DATA_DIR }: Settings): string {
	if (SECRETS_KEY !== '') return SECRETS_KEY;
	const file = secretsKeyPath(DATA_DIR);
	return existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
}

/** The same as a command may use it: undefined where there is no good one. */
export function keptSecretsKey(settings: Settings): string | undefined {
	const key = secretsKeyText(settings);
	return weaknessOfMasterKey(key) === undefined ? key : undefined;
}
