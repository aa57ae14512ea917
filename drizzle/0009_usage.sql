CREATE TABLE `usage_days` (
	`tenant` integer NOT NULL,
	`day` integer NOT NULL,
	`messages_sent` integer DEFAULT 0 NOT NULL,
	`messages_delivered` integer DEFAULT 0 NOT NULL,
	`api_requests` integer DEFAULT 0 NOT NULL,
	`active_users` integer DEFAULT 0 NOT NULL,
	`new_users` integer DEFAULT 0 NOT NULL,
	`peak_connections` integer DEFAULT 0 NOT NULL,
	`peak_at` integer DEFAULT 0 NOT NULL,
	`connection_ms` integer DEFAULT 0 NOT NULL,
	`storage_bytes` integer,
	PRIMARY KEY(`tenant`, `day`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `usage_users` (
	`tenant` integer NOT NULL,
	`month` integer NOT NULL,
	`user_id` text NOT NULL,
	`days` integer NOT NULL,
	PRIMARY KEY(`tenant`, `month`, `user_id`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
ALTER TABLE `tenant_heads` ADD `message_day` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `tenant_heads` ADD `day_messages` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `tenant_heads` ADD `month_messages` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
INSERT INTO `usage_days` (`tenant`, `day`, `messages_sent`)
	SELECT `tenant`, `created_at` / 86400000, count(*) FROM `messages` GROUP BY 1, 2;
