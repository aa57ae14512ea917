CREATE TABLE `api_keys` (
	`tenant` integer NOT NULL,
	`key_id` text NOT NULL,
	`name` text NOT NULL,
	`prefix` text NOT NULL,
	`hash` blob NOT NULL,
	`permissions` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer,
	`revoked_at` integer,
	PRIMARY KEY(`tenant`, `key_id`),
	FOREIGN KEY (`tenant`) REFERENCES `tenants`(`tenant`) ON UPDATE no action ON DELETE no action
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `api_keys_prefix_unique` ON `api_keys` (`prefix`);--> statement-breakpoint
CREATE TABLE `events` (
	`tenant` integer NOT NULL,
	`cursor` integer NOT NULL,
	`stream` text NOT NULL,
	`type` text NOT NULL,
	`ref` integer,
	`payload` text,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`tenant`, `cursor`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `events_by_stream` ON `events` (`tenant`,`stream`,`cursor`) WHERE type <> 'message.created';--> statement-breakpoint
CREATE TABLE `memberships` (
	`tenant` integer NOT NULL,
	`room` integer NOT NULL,
	`user_id` text NOT NULL,
	`role` text NOT NULL,
	`joined_at` integer NOT NULL,
	`joined_cursor` integer NOT NULL,
	`left_cursor` integer,
	`hidden_cursor` integer NOT NULL,
	PRIMARY KEY(`tenant`, `room`, `user_id`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `memberships_by_user` ON `memberships` (`tenant`,`user_id`,`room`) WHERE left_cursor IS NULL;--> statement-breakpoint
CREATE TABLE `messages` (
	`tenant` integer NOT NULL,
	`room` integer NOT NULL,
	`seq` integer NOT NULL,
	`cursor` integer NOT NULL,
	`ordinal` integer NOT NULL,
	`message_id` text NOT NULL,
	`sender_id` text NOT NULL,
	`content` text NOT NULL,
	`meta` text,
	`client_msg_id` text,
	`body_hash` blob,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`tenant`, `room`, `seq`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `messages_by_client_msg_id` ON `messages` (`tenant`,`room`,`sender_id`,`client_msg_id`) WHERE client_msg_id IS NOT NULL;--> statement-breakpoint
CREATE TABLE `positions` (
	`tenant` integer NOT NULL,
	`room` integer NOT NULL,
	`user_id` text NOT NULL,
	`delivered_seq` integer NOT NULL,
	`read_seq` integer NOT NULL,
	`read_ordinal` integer NOT NULL,
	PRIMARY KEY(`tenant`, `room`, `user_id`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `room_heads` (
	`tenant` integer NOT NULL,
	`room` integer NOT NULL,
	`last_seq` integer NOT NULL,
	`last_ordinal` integer NOT NULL,
	`last_cursor` integer NOT NULL,
	`member_count` integer NOT NULL,
	PRIMARY KEY(`tenant`, `room`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `rooms` (
	`tenant` integer NOT NULL,
	`room` integer NOT NULL,
	`room_id` text NOT NULL,
	`type` text NOT NULL,
	`name` text,
	`metadata` text,
	`user_low` text,
	`user_high` text,
	`created_at` integer NOT NULL,
	`deleted_at` integer,
	PRIMARY KEY(`tenant`, `room`),
	FOREIGN KEY (`tenant`) REFERENCES `tenants`(`tenant`) ON UPDATE no action ON DELETE no action
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `rooms_by_id` ON `rooms` (`tenant`,`room_id`);--> statement-breakpoint
CREATE UNIQUE INDEX `rooms_by_pair` ON `rooms` (`tenant`,`user_low`,`user_high`) WHERE type = 'dm' AND deleted_at IS NULL;--> statement-breakpoint
CREATE TABLE `tenant_heads` (
	`tenant` integer PRIMARY KEY NOT NULL,
	`epoch` text NOT NULL,
	`last_cursor` integer NOT NULL,
	`last_room` integer NOT NULL,
	FOREIGN KEY (`tenant`) REFERENCES `tenants`(`tenant`) ON UPDATE no action ON DELETE no action
) STRICT;
--> statement-breakpoint
CREATE TABLE `tenants` (
	`tenant` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`tenant_id` text NOT NULL,
	`name` text NOT NULL,
	`domain` text,
	`status` text NOT NULL,
	`metadata` text,
	`rate_limit` text,
	`allowed_origins` text,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE UNIQUE INDEX `tenants_tenant_id_unique` ON `tenants` (`tenant_id`);