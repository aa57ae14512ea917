import type { Face } from '../../http/face.ts';
import { applyConfiguration, exportConfiguration, getProgress } from './schema.ts';
import type { Configuration } from './service.ts';

export function routeConfiguration(face: Face, configuration: Configuration): void {
	face.post('/admin/apply', applyConfiguration, configuration.apply);
	face.get('/admin/apply', getProgress, configuration.progress);
	face.get('/admin/configuration', exportConfiguration, configuration.exportPage);
}
