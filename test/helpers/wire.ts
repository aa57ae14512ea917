/** What the contract says stands on the wire, written by hand: the server's own types are not used. */

export type RoomType = 'dm' | 'group' | 'channel';
export type Role = 'owner' | 'admin' | 'moderator' | 'member';

export interface Tenant {
	tenant_id: string;
	id: string;
	/** Only in the answer that creates it. */
	api_key?: string;
	name: string;
	domain: string | null;
	status: string;
	plan_id: string | null;
	rate_limit: Record<string, number> | null;
	allowed_origins: string[] | null;
	webhook_url: string | null;
	smtp: Record<string, unknown> | null;
	settings: Record<string, unknown>;
	effective_settings: Record<string, unknown>;
	features: Record<string, boolean>;
	metadata: unknown;
	purge_at: string | null;
	erased_rows: number | null;
	version: number;
	created_at: string;
	updated_at: string;
}

export interface Plan {
	plan_id: string;
	name: string;
	quotas: Record<string, number | null>;
	features: Record<string, boolean>;
	settings: unknown;
	version: number;
	created_at: string;
	updated_at: string;
}

export interface ManagementKey {
	key: string;
	/** Only in the answer that creates it. */
	secret?: string;
	plan_id: string;
	created_at: string;
}

export interface ApiKey {
	key_id: string;
	/** Only in the answer that creates it. */
	api_key?: string;
	name: string;
	prefix: string;
	permissions: string[];
	created_at: string;
	expires_at: string | null;
	last_used_at: string | null;
	grace_until: string | null;
	version: number;
}

export interface Message {
	message_id: string;
	room_id: string;
	seq: number;
	kind: 'user' | 'system';
	sender_id: string | null;
	content: string;
	meta?: unknown;
	client_msg_id?: string | null;
	created_at: string;
	cursor: string;
	/** On the answer to a repeated request only. */
	duplicate?: boolean;
}

export interface Room {
	room_id: string;
	type: RoomType;
	unique_key: string | null;
	name: string | null;
	metadata: unknown;
	last_seq: number;
	member_count: number;
	created_at: string;
	last_message?: Message | null;
	unread_count?: number;
	last_read_seq?: number;
	duplicate?: boolean;
}

export interface Member {
	user_id: string;
	role: Role;
	joined_at: string;
	last_read_seq: number;
	last_delivered_seq: number;
}

export interface Page {
	next_cursor: string | null;
}

export type RoomsPage = Page & { rooms: Room[]; as_of: string };
export type TenantsPage = Page & { tenants: Tenant[] };
export type ApiKeysPage = Page & { api_keys: ApiKey[] };
export type MembersPage = Page & { members: Member[] };

export interface MessagesPage {
	messages: Message[];
	has_more: boolean;
	as_of: string;
}

export interface WireError {
	code: string;
	message: string;
	field?: string;
	request_id?: string;
	retryable: boolean;
	retry_after_ms?: number;
}

/** A frame from the server. The fields beside `type` depend on it; see the contract, section 5. */
export interface Frame extends Record<string, unknown> {
	type: string;
	cursor?: string;
	request_id?: string;
}

export interface EventsPage {
	/** As the sockets of all rooms are told them. */
	events: (Frame & { cursor: string })[];
	next_cursor: string | null;
	as_of: string;
}

/** An entry of the audit log. */
export interface AuditEntry {
	entry: number;
	at: string;
	credential: string;
	action: string;
	request_id: string;
	tenant_id: string | null;
	plan_id: string | null;
	target: Record<string, unknown> | null;
	before: unknown;
	after: unknown;
	hash: string;
	erased: boolean;
}

export interface AuditPage {
	entries: AuditEntry[];
	has_more: boolean;
}
