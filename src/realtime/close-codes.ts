/** Why the server closes a socket. 4000–4499: reconnect; 4500–4999: do not. */
export const CLOSE = {
	server_shutdown: 4001,
	slow_consumer: 4002,
	rate_limited: 4005,
	credential_revoked: 4501,
	bad_request: 4502,
	connection_limit: 4504,
	user_deactivated: 4507,
	tenant_suspended: 4509,
	tenant_deleted: 4510,
} as const;

export type CloseReason = keyof typeof CLOSE;
