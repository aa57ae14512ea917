import type { Stream } from '../core/event.ts';
import type { TenantId } from '../core/ids.ts';

/**
 * The name of a native topic: the tenant, the kind, the rest. Tenant ids hold no `/` and kinds are
 * one letter, so no two streams share a name, whatever a tenant calls its users and topics.
 */
export const topicOf = (tenant_id: TenantId, stream: Pick<Stream, 'topic'>): string =>
	`${tenant_id}/${stream.topic}`;

/** Every stored event of a tenant, for its backends: no stream of the log, but all of them. */
export const BACKENDS: Pick<Stream, 'topic'> = { topic: 'b' };

/** The stream of a notification topic, named by the tenant. */
export const namedStream = (topic: string): Stream => ({ key: `n/${topic}`, topic: `n/${topic}` });

/** The stream of what is told to everybody of a tenant. No native topic: every socket would follow it. */
export const TENANT_STREAM: Stream = { key: 't', topic: 't' };
