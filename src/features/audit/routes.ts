import type { Face } from '../../http/face.ts';
import { listAudit } from './schema.ts';
import type { Audit } from './service/listing.ts';

export function routeAudit(face: Face, audit: Audit): void {
	face.get('/admin/audit', listAudit, audit.list);
}
