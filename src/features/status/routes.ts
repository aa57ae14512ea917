import type { Face, Success, UseCase } from '../../http/face.ts';
import { getHealth, getLive, getMetrics, getReady } from './schema.ts';
import type { Status } from './service.ts';

const okOr503: Success<{ status: 'ok' | 'unavailable' }> = {
	statuses: [200, 503],
	of: ({ status }) => (status === 'ok' ? 200 : 503),
};

export function routeStatus(
	face: Face,
	status: Status,
	metrics: {
		/** The Prometheus text. */
		text(): Promise<{ body: string; type: string }>;
		figures: UseCase<typeof getMetrics>;
	},
): void {
	face.get('/health', getHealth, status.health, okOr503);
	face.get('/livez', getLive, status.live);
	face.get('/readyz', getReady, status.ready, okOr503);
	face.get('/metrics', getMetrics, metrics.figures, 200, {
		type: 'text/plain',
		// JSON only for who asks for it: scrapers send a list of text types, browsers and curl */*.
		instead: (request) =>
			request.headers.get('Accept')?.includes('application/json') === true
				? undefined
				: metrics.text(),
	});
}
