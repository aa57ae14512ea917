import { readFileSync } from 'node:fs';
import { readSettings, type Settings } from '../config/settings.ts';

/**
 * The settings of the environment; `dataDir`, where a command was given it, in the place of DATA_DIR.
 *
 * @throws SettingsRefused with every mistake there is.
 */
export const settingsOf = (dataDir?: string): Settings =>
	readSettings(
		{ ...process.env, ...(dataDir === undefined ? {} : { DATA_DIR: dataDir }) },
		(path) => readFileSync(path, 'utf8'),
	);
