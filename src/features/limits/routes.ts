import type { Face } from '../../http/face.ts';
import { getLimits } from './schema.ts';
import type { Limits } from './service.ts';

export function routeLimits(face: Face, limits: Limits): void {
	face.get('/limits', getLimits, limits.get);
}
